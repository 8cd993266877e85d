//! What is printed when a child fails; that children live and die as they should is told by the stories, with the real binary.

use std::io::Write;

use super::*;

#[test]
fn the_last_words_of_a_child_are_its_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent-1.log");
    assert_eq!(last_line(&path), "it said nothing");
    std::fs::write(&path, "one\nairside: cannot listen on 127.0.0.1:5051\n\n").unwrap();
    assert_eq!(last_line(&path), "cannot listen on 127.0.0.1:5051");
}

#[test]
fn a_log_does_not_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master.log");
    File::create(&path).unwrap().set_len(LOG_BYTES_MAX + 1).unwrap();
    open_log(&path).unwrap().write_all(b"new\n").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
    assert!(dir.path().join("master.log.old").exists());
}

#[tokio::test]
async fn a_line_counts_only_when_it_is_whole() {
    for (said, heard) in [("printf 127.0.0.1:1", None), ("echo 127.0.0.1:1", Some("127.0.0.1:1"))] {
        let mut child =
            Command::new("sh").args(["-c", said]).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().map(BufReader::new);
        assert_eq!(next_line(&mut stdout).await.as_deref(), heard);
        child.wait().await.unwrap();
    }
}
