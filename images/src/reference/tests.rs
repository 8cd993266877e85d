//! Names of images: Docker's rules by example, and properties of all texts.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Reference, BadReference> {
    Reference::parse(text, DOCKER_HUB)
}

#[track_caller]
fn is(text: &str, whole: &str) {
    assert_eq!(parse(text).map(|reference| reference.to_string()), Ok(whole.to_owned()));
}

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn img_03_short_names_are_made_whole_as_docker_does() {
    is("busybox", "docker.io/library/busybox:latest");
    is("busybox:1.36", "docker.io/library/busybox:1.36");
    is("user/app", "docker.io/user/app:latest");
    is("docker.io/busybox", "docker.io/library/busybox:latest");
    is("localhost/app", "localhost/app:latest");
    is("quay.io/a/b/c:v1", "quay.io/a/b/c:v1");
    is("127.0.0.1:5000/app:v1", "127.0.0.1:5000/app:v1");
    is("[::1]:5000/app", "[::1]:5000/app:latest");
    is(&format!("app@{DIGEST}"), &format!("docker.io/library/app@{DIGEST}"));
    is(&format!("h:1/app:v1@{DIGEST}"), &format!("h:1/app:v1@{DIGEST}"));
}

#[test]
fn img_09_a_registry_may_be_named_as_other_programs_do() {
    is("docker://127.0.0.1:5000/app:v1", "127.0.0.1:5000/app:v1");
    is("docker://busybox", "docker.io/library/busybox:latest");
    is("docker:27", "docker.io/library/docker:27");
    assert!(matches!(parse("docker://"), Err(BadReference::Empty { .. })));
}

#[test]
fn the_default_registry_is_a_setting_and_has_no_library() {
    let reference = Reference::parse("busybox", "registry.example:5000").unwrap();
    assert_eq!(reference.to_string(), "registry.example:5000/busybox:latest");
}

#[test]
fn folders_and_archives_are_named_by_path() {
    is("oci:./busybox", "oci:./busybox");
    is("oci:/a/b:v1", "oci:/a/b:v1");
    is("docker-archive:/a/b.tar", "docker-archive:/a/b.tar");
    is("docker-archive:/a/b.tar:app", "docker-archive:/a/b.tar:app:latest");
    is("docker-archive:/a/b.tar:h:5000/x/app:v2", "docker-archive:/a/b.tar:h:5000/x/app:v2");
    is("dir:/srv/root:fs", "dir:/srv/root:fs");
}

#[test]
fn img_02_a_registry_may_be_a_folder_of_archives() {
    let reference =
        |text| Reference::in_folder_of_archives(text, Path::new("/a")).unwrap().to_string();
    assert_eq!(reference("busybox"), "docker-archive:/a/busybox:latest.tar:busybox:latest");
    assert_eq!(reference("x/app:v1"), "docker-archive:/a/x/app:v1.tar:x/app:v1");
}

#[test]
fn what_is_wrong_is_said_of_the_part() {
    for empty in ["", "oci:", "docker-archive:", "dir:", "host:5000/", ":tag"] {
        assert!(matches!(parse(empty), Err(BadReference::Empty { .. })), "{empty}");
    }
    for name in ["a//b", "-a", "a-", "a..b", "a___b", "a b", "h.x/A", "h.x/../a", "/a"] {
        assert!(matches!(parse(name), Err(BadReference::Name { .. })), "{name}: {:?}", parse(name));
    }
    for tag in ["a:", "a:.b", "a:-b", "oci:/a:b c", "docker-archive:/a:b:.c"] {
        assert!(matches!(parse(tag), Err(BadReference::Tag { .. })), "{tag}: {:?}", parse(tag));
    }
    for host in [
        "h:0/a",
        "h:99999/a",
        "h:x/a",
        "-h.x/a",
        "h..x/a",
        "[::z]/a",
        "../a",
        "a:b/c",
        "docker-archive:/a:b:c/d",
    ] {
        assert!(matches!(parse(host), Err(BadReference::Registry { .. })), "{host}");
    }
    assert!(matches!(parse("a@sha256:00"), Err(BadReference::Digest { .. })));
    assert!(matches!(parse(&"a".repeat(300)), Err(BadReference::TooLong { .. })));
}

#[test]
fn a_digest_is_what_the_registry_is_asked_for() {
    let Ok(Reference::Registry(image)) = parse(&format!("h.x/app:v1@{DIGEST}")) else { panic!() };
    assert_eq!(image.asked_for(), DIGEST);
    assert!(!Reference::Registry(image).may_change());
    assert!(parse("app:v1").unwrap().may_change());
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_so_that_it_reads_the_same(
        text in r"((oci|dir|docker-archive):)?[a-zA-Z0-9./:@_\-\[\]]{0,40}"
    ) {
        if let Ok(reference) = parse(&text) {
            prop_assert_eq!(parse(&reference.to_string()), Ok(reference));
        }
    }

    #[test]
    fn no_text_panics_and_errors_are_short(text: String) {
        if let Err(error) = parse(&text) {
            prop_assert!(error.to_string().len() < 5000);
        }
    }

    #[test]
    fn no_part_of_a_name_leads_anywhere(text in r"[a-z./:A-Z0-9\-_%?#\\ ]{0,30}") {
        if let Ok(Reference::Registry(image)) = parse(&text) {
            let url = format!("{}/{}/{}", image.registry, image.repository, image.asked_for());
            prop_assert!(!url.contains([' ', '%', '?', '#', '\\']));
            prop_assert!(image.repository.split('/').all(|part| !part.is_empty() && !part.starts_with('.')));
        }
    }
}
