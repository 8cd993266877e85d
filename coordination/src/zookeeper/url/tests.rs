//! Good and bad URLs, as tables.

use super::*;

/// Text, credentials, hosts, path, what is shown.
type Good = (&'static str, Option<&'static str>, &'static str, &'static str, &'static str);

const GOOD: [Good; 11] = [
    ("zk://h1:2181/mesos", None, "h1:2181", "/mesos", "zk://h1:2181/mesos"),
    ("  zk://h1:2181/mesos \n", None, "h1:2181", "/mesos", "zk://h1:2181/mesos"),
    ("zk://h1:1,h2:2,h3:3/a/b", None, "h1:1,h2:2,h3:3", "/a/b", "zk://h1:1,h2:2,h3:3/a/b"),
    ("zk://h1,h2/path", None, "h1:2181,h2:2181", "/path", "zk://h1:2181,h2:2181/path"),
    ("zk://h1:2181/mesos/", None, "h1:2181", "/mesos", "zk://h1:2181/mesos"),
    ("zk://10.0.0.1:2181/m", None, "10.0.0.1:2181", "/m", "zk://10.0.0.1:2181/m"),
    (
        "zk://[::1]:2182,[fe80::1]/m",
        None,
        "[::1]:2182,[fe80::1]:2181",
        "/m",
        "zk://[::1]:2182,[fe80::1]:2181/m",
    ),
    ("zk://jake:secret@h1:1/m", Some("jake:secret"), "h1:1", "/m", "zk://jake:***@h1:1/m"),
    // The last `@` before the path divides, and a password may hold colons.
    ("zk://jake:a@b:c@h1:1/m", Some("jake:a@b:c"), "h1:1", "/m", "zk://jake:***@h1:1/m"),
    ("zk://jake:@h1:1/m", Some("jake:"), "h1:1", "/m", "zk://jake:***@h1:1/m"),
    // An `@` of the path divides nothing.
    ("zk://h1:1/m@n", None, "h1:1", "/m@n", "zk://h1:1/m@n"),
];

const BAD: [(&str, &str); 21] = [
    ("", "is no ZooKeeper URL"),
    ("h1:2181/mesos", "is no ZooKeeper URL"),
    ("http://h1:2181/mesos", "is no ZooKeeper URL"),
    ("zk:/h1:2181/mesos", "is no ZooKeeper URL"),
    ("zk://h1:2181", "'/' is not supported"),
    ("zk://h1:2181/", "'/' is not supported"),
    ("zk:///mesos", "names no host"),
    ("zk://jake:x@/mesos", "names no host"),
    ("zk://h1:2181,/mesos", "'' is no host"),
    ("zk://:2181/mesos", "':2181' is no host"),
    ("zk://h1:/mesos", "'h1:' is no host"),
    ("zk://h1:port/mesos", "'h1:port' is no host"),
    ("zk://h1:0/mesos", "'h1:0' is no host"),
    ("zk://h1:65536/mesos", "'h1:65536' is no host"),
    ("zk://h 1:1/mesos", "'h 1:1' is no host"),
    ("zk://[::1:1/mesos", "is no host"),
    ("zk://jake@h1:1/mesos", "not of the form user:password"),
    ("zk://:x@h1:1/mesos", "not of the form user:password"),
    ("zk://h1:1/a//b", "two slashes"),
    ("zk://h1:1/a/../b", "no relative parts"),
    ("zk://h1:1/zookeeper/quota", "ZooKeeper's own"),
];

#[test]
fn a_url_says_who_we_are_which_servers_and_which_path() {
    for (text, credentials, hosts, path, shown) in GOOD {
        let url = Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(url.credentials(), credentials, "{text}");
        assert_eq!(url.hosts(), hosts, "{text}");
        assert_eq!(url.path(), path, "{text}");
        assert_eq!(url.to_string(), shown, "{text}");
    }
}

#[test]
fn what_is_no_url_is_refused_in_words() {
    for (text, words) in BAD {
        let error = Url::parse(text).map(|url| url.to_string()).expect_err(text);
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
}

#[test]
fn neither_a_url_nor_a_refusal_of_one_shows_the_password() {
    let urls = ["zk://jake:s3cret@h:1/m", "zk://jake:s3cret@h:1", "zk://jake:s3cret@h:x/m"];
    let others = ["zl://jake:s3cret@h:1/m", "jake:s3cret@h:1", "zk://jake:s3cret@h:1/a//b"];
    for text in urls.into_iter().chain(others) {
        let said = match Url::parse(text) {
            Ok(url) => format!("{url} {url:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn a_file_holds_the_url_and_is_shown_instead_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zk");
    std::fs::write(&path, " zk://jake:secret@h1:1/mesos\n").unwrap();
    let text = format!("file://{}", path.display());
    let url = Url::parse(&text).unwrap();
    assert_eq!((url.credentials(), url.path()), (Some("jake:secret"), "/mesos"));
    assert_eq!(url.to_string(), text);
    assert_eq!(url.file(), Some(path.as_path()));

    std::fs::write(&path, "").unwrap();
    assert!(matches!(Url::parse(&text), Err(BadUrl::Scheme(_))));
    std::fs::write(&path, &text).unwrap();
    let error = Url::parse(&text).unwrap_err();
    assert!(error.to_string().contains("only names of each other"), "{error}");
    let missing = Url::parse("file:///no/such/file").unwrap_err();
    assert!(missing.to_string().contains("/no/such/file"), "{missing}");
}

#[test]
fn a_url_with_tls_says_whom_to_trust_and_who_we_are() {
    for (text, shown) in [
        ("zks://h1/m?ca=/a", "zks://h1:2181/m?ca=/a"),
        (
            "zks://u:p@h1:1,[::1]:2/m/?ca=/a&cert=c&key=k",
            "zks://u:***@h1:1,[::1]:2/m?ca=/a&cert=c&key=k",
        ),
        ("zks://h_1.x-y.z/m?key=k&cert=c&ca=/a", "zks://h_1.x-y.z:2181/m?ca=/a&cert=c&key=k"),
    ] {
        let url = Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((url.to_string().as_str(), url.tls().is_some()), (shown, true));
    }
    for (text, words) in [
        ("zks://h1/m", "does not say whom to trust"),
        ("zks://h1/m?cert=c&key=k", "does not say whom to trust"),
        ("zks://h1/m?ca=", "'ca' of the ZooKeeper URL names no file"),
        ("zks://h1/m?ca=/a&ca=/b", "says 'ca' twice"),
        ("zks://h1/m?ca=/a&cert=c", "a cert but no key"),
        ("zks://h1/m?ca=/a&key=k", "a key but no cert"),
        ("zks://h1/m?ca=/a&trust=all", "'trust' of the ZooKeeper URL means nothing"),
        ("zks://-h1/m?ca=/a", "'-h1:2181' is no host"),
        ("zks://h1..x/m?ca=/a", "'h1..x:2181' is no host"),
        ("zks://h1?ca=/a", "'/' is not supported"),
    ] {
        let error = Url::parse(text).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn files_for_tls_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let url = Url::parse(&format!("zks://h1/m?ca={}", file.display())).unwrap();
    let error = url.tls().unwrap().options().unwrap_err();
    assert!(error.contains("failed to read") && error.contains("ca.pem"), "{error}");
    std::fs::write(&file, "nothing").unwrap();
    let error = url.tls().unwrap().options().unwrap_err();
    assert!(error.contains("ca.pem cannot be used for TLS"), "{error}");
}
