//! Manifests by example, and properties of all bytes.

use proptest::prelude::*;

use super::*;

fn descriptor_json(size: i64) -> String {
    format!(
        r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{size}}}"#,
        Digest::of(b"")
    )
}

fn read_text(text: &str) -> Result<Document, BadManifest> {
    read(text.as_bytes(), 3)
}

#[test]
fn img_01_a_manifest_is_read_with_its_layers_in_order() {
    let text = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{},{}]}}"#,
        descriptor_json(1),
        descriptor_json(2),
        descriptor_json(3)
    );
    let Ok(Document::Manifest(manifest)) = read_text(&text) else { panic!() };
    assert_eq!(manifest.config.size_bytes, 1);
    let sizes: Vec<_> = manifest.layers.iter().map(|layer| layer.size_bytes).collect();
    assert_eq!(sizes, [2, 3]);
}

#[test]
fn a_list_tells_platforms_and_leaves_attestations_out() {
    let entry = |platform: &str| {
        format!(
            r#"{{"digest":"{}","size":1,"platform":{platform},"annotations":{{"org.opencontainers.image.ref.name":"v1"}}}}"#,
            Digest::of(b"")
        )
    };
    let text = format!(
        r#"{{"schemaVersion":2,"manifests":[{},{}]}}"#,
        entry(r#"{"os":"linux","architecture":"arm","variant":"v7"}"#),
        entry(r#"{"os":"unknown","architecture":"unknown"}"#)
    );
    let Ok(Document::Index(entries)) = read_text(&text) else { panic!() };
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].platform.as_ref().unwrap().to_string(), "linux/arm/v7");
    assert_eq!(entries[0].tag.as_deref(), Some("v1"));
}

#[test]
fn each_defect_has_its_own_words() {
    let config = descriptor_json(1);
    let cases = [
        ("", "it is not the JSON"),
        ("[]", "it is not the JSON"),
        ("{}", "neither"),
        (r#"{"schemaVersion":1,"fsLayers":[]}"#, "schema 1"),
        (r#"{"config":{"digest":"md5:0","size":1}}"#, "bad digest"),
        (&format!(r#"{{"config":{}}}"#, descriptor_json(-1)), "-1 bytes"),
        (&format!(r#"{{"config":{config},"manifests":[]}}"#), "neither"),
        (
            &format!(r#"{{"config":{config},"layers":[{config},{config},{config},{config}]}}"#),
            "4 layers",
        ),
        (
            &config
                .replace("{\"media", r#"{"config":{"media"#)
                .replace("oci.image", "cncf.helm")
                .replace('}', "}}"),
            "no container image",
        ),
    ];
    for (text, words) in cases {
        let error = read_text(text).expect_err(text).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = read(&bytes, 3);
    }

    #[test]
    fn no_damaged_manifest_panics(at in 0_usize..300, byte: u8) {
        let text = format!(r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#, descriptor_json(1), descriptor_json(2));
        let mut bytes = text.into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(Document::Manifest(manifest)) = read(&bytes, 3) {
            prop_assert!(manifest.layers.len() <= 1);
        }
    }
}
