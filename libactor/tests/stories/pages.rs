//! One port: actors and the few pages, told apart by their first bytes.

use libactor::http::{Page, pages};
use libactor::{Node, NodeConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cast::*;

async fn request(node: &Node, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(node.address().unwrap()).await.unwrap();
    for part in parts {
        stream.write_all(part).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    let _ = soon("an answer", stream.read_to_string(&mut answer)).await;
    answer
}

#[tokio::test]
async fn a_node_serves_its_pages_and_actors_on_one_port() {
    let more = |_: &Node, path: &str| {
        (path == "/more").then(|| Page { content_type: "text/plain", body: "more\n".to_owned() })
    };
    let foreign = Some(pages("{\"version\":\"1\"}".to_owned(), more));
    let node = Node::start(NodeConfig { foreign, ..listening() }).await.unwrap();
    Counter::spawn(&node, "counter");
    let other = Node::start(dialling()).await.unwrap();
    assert_eq!(other.ask(name("counter", &node), Sum, SOON).await.unwrap().0, 0);

    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let health = request(&node, &[get("/health").as_bytes()]).await;
    assert!(health.starts_with("HTTP/1.1 200 OK") && health.ends_with("ok\n"), "{health}");
    assert!(request(&node, &[get("/version?x").as_bytes()]).await.ends_with("{\"version\":\"1\"}"));
    assert!(request(&node, &[get("/more").as_bytes()]).await.ends_with("more\n"));
    assert!(request(&node, &[get("/less").as_bytes()]).await.starts_with("HTTP/1.1 404"));
    assert!(
        request(&node, &[b"DELETE /health HTTP/1.1\r\n\r\n"]).await.starts_with("HTTP/1.1 405")
    );
    assert!(
        request(&node, &[b"G", b"ET /hea", b"lth HTTP/1.0\r\n", b"\r\n"]).await.contains("ok"),
        "in pieces"
    );
    let metrics = request(&node, &[get("/metrics").as_bytes()]).await;
    for line in [
        "# TYPE libactor_messages_dropped_total counter",
        "libactor_messages_dropped_total{reason=\"mailbox_full\"} 0",
        "libactor_connections 1",
    ] {
        assert!(metrics.lines().any(|its| its == line), "{line} in {metrics}");
    }
    let long = vec![b'x'; 9000];
    assert!(request(&node, &[b"GET /", &long]).await.starts_with("HTTP/1.1 431"));
    assert!(
        request(&node, &[b"GET /health"]).await.starts_with("HTTP/1.1 408"),
        "a slow one is let go"
    );
    assert_eq!(other.ask(name("counter", &node), Sum, SOON).await.unwrap().0, 0);
}
