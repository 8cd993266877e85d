//! Debian's `docker-registry`, with images that `umoci` and `skopeo` made of a static busybox: without and with a password,
//! with TLS of an authority of our own, as OCI layout and as `docker save` file.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use images::{Credentials, Failure, PullOptions, Pulled, Reference, Settings, Store, apply_layer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::fake::settings;
use crate::made::{failure, pull};

/// `me:secret`, as `htpasswd -B` writes it.
const HTPASSWD: &str = "me:$2y$05$CYg4CvJf3wKbUVOSzFrdC.GxK.YHN1rJI6bnmGgF2RGLEG8LESVbW";

/// A registry that has come up does so within this.
const UP_WITHIN: Duration = Duration::from_secs(30);

/// A registry of Debian's, with a folder for its things.
struct Registry {
    process: Child,
    address: String,
    folder: TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Registry {
    /// Started with more settings, below those that all have. Another may take the free port first: then once more.
    async fn start(more: impl Fn(&Path) -> (String, String)) -> Self {
        for _ in 0..5 {
            let folder = TempDir::new().unwrap();
            let address =
                TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
            let (http, other) = more(folder.path());
            let store = folder.path().join("store");
            let config = format!(
                "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp:\n  addr: {address}\n{http}{other}",
                store.display()
            );
            let path = folder.path().join("config.yml");
            fs::write(&path, config).unwrap();
            let mut command = Command::new("docker-registry");
            command
                .arg("serve")
                .arg(&path)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let process =
                command.spawn().expect("docker-registry is installed: cargo xtask test does so");
            let mut registry = Self { process, address, folder };
            if registry.comes_up().await {
                return registry;
            }
        }
        panic!("docker-registry does not come up");
    }

    async fn plain() -> Self {
        Self::start(|_| (String::new(), String::new())).await
    }

    async fn comes_up(&mut self) -> bool {
        let until = Instant::now() + UP_WITHIN;
        while Instant::now() < until {
            if tokio::net::TcpStream::connect(&self.address).await.is_ok() {
                return true;
            }
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            tokio::task::yield_now().await;
        }
        false
    }

    fn push(&self, tag: &str, more: &[&str]) {
        let made = images_made();
        let from = format!("oci:{}:{tag}", made.path().join("layout").display());
        let to = format!("docker://{}/busybox:{tag}", self.address);
        run(
            "skopeo",
            &[&["--insecure-policy", "copy", "--dest-tls-verify=false"], more, &[&from, &to]]
                .concat(),
        );
    }

    fn reference(&self, tag: &str) -> Reference {
        let separator = if tag.starts_with("sha256:") { '@' } else { ':' };
        Reference::parse(&format!("{}/busybox{separator}{tag}", self.address), images::DOCKER_HUB)
            .unwrap()
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program} is installed: cargo xtask test does so: {error}")
    });
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with an OCI layout of `base` (busybox) and `top` (on it: one file deleted, one folder gone, one file new), which
/// tests that run at the same time share. The last one removes it.
fn images_made() -> Arc<TempDir> {
    static MADE: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = made.upgrade() {
        return folder;
    }
    let folder = Arc::new(TempDir::new().unwrap());
    make_images(folder.path());
    *made = Arc::downgrade(&folder);
    folder
}

fn make_images(folder: &Path) {
    let layout = folder.join("layout");
    let (layout, bundle) = (layout.to_str().unwrap(), folder.join("bundle"));
    let base = format!("{layout}:base");
    run("umoci", &["init", "--layout", layout]);
    run("umoci", &["new", "--image", &base]);
    run("umoci", &["unpack", "--image", &base, bundle.to_str().unwrap()]);
    let root = bundle.join("rootfs");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::create_dir_all(root.join("etc/old")).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
    fs::write(root.join("etc/gone"), "gone").unwrap();
    fs::write(root.join("etc/old/gone"), "gone").unwrap();
    fs::write(root.join("etc/os-release"), "NAME=base\n").unwrap();
    run("umoci", &["repack", "--image", &base, bundle.to_str().unwrap()]);
    run(
        "umoci",
        &[
            "config",
            "--image",
            &base,
            "--config.cmd",
            "sh",
            "--config.env",
            "A=b",
            "--config.workingdir",
            "/etc",
            "--config.user",
            "1000:1000",
            "--config.entrypoint",
            "/bin/busybox",
        ],
    );
    // A second layer upon the first, with the deletions that umoci writes itself.
    let top = format!("{layout}:top");
    run("umoci", &["tag", "--image", &base, "top"]);
    fs::remove_dir_all(&bundle).unwrap();
    run("umoci", &["unpack", "--image", &top, bundle.to_str().unwrap()]);
    fs::remove_file(root.join("etc/gone")).unwrap();
    fs::remove_dir_all(root.join("etc/old")).unwrap();
    fs::write(root.join("etc/os-release"), "NAME=top\n").unwrap();
    run("umoci", &["repack", "--image", &top, bundle.to_str().unwrap()]);
    fs::remove_dir_all(&bundle).unwrap();
}

fn store_with(settings: Settings) -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(folder.path(), settings).unwrap();
    (folder, store)
}

/// All layers in one folder, as a container without overlayfs has them; and that it is the image that was made.
fn check_top(pulled: &Pulled) {
    let root = TempDir::new().unwrap();
    for layer in &pulled.layers {
        apply_layer(layer, root.path(), pulled.form).unwrap();
    }
    assert_eq!(fs::read_to_string(root.path().join("etc/os-release")).unwrap(), "NAME=top\n");
    assert!(!root.path().join("etc/gone").exists() && !root.path().join("etc/old").exists());
    assert_eq!(
        fs::read(root.path().join("bin/busybox")).unwrap(),
        fs::read("/bin/busybox").unwrap()
    );
    let config = &pulled.config;
    assert_eq!(
        (config.entrypoint.join(" "), config.command.join(" ")),
        ("/bin/busybox".into(), "sh".into())
    );
    assert!(config.environment.contains(&"A=b".into()), "{:?}", config.environment);
    assert_eq!((config.working_directory.as_str(), config.user.as_str()), ("/etc", "1000:1000"));
}

#[tokio::test]
async fn img_01_images_come_from_a_real_registry_by_tag_and_by_digest_in_both_formats() {
    let registry = Registry::plain().await;
    for format in ["oci", "v2s2"] {
        registry.push("top", &["--format", format]);
        let (_folder, store) = store_with(settings());
        let pulled = pull(&store, &registry.reference("top")).await.unwrap();
        check_top(&pulled);
        let digest = pulled.digest.unwrap().to_string();
        let by_digest = pull(&store, &registry.reference(&digest)).await.unwrap();
        assert_eq!(by_digest.layers, pulled.layers, "layers are shared");
        let (failed, _) = failure(pull(&store, &registry.reference("none")).await);
        assert!(matches!(*failed, Failure::NotFound { .. }));
    }
}

#[tokio::test]
async fn img_04_overlayfs_shows_what_the_image_says() {
    let registry = Registry::plain().await;
    registry.push("top", &[]);
    let (folder, store) = store_with(settings());
    let pulled = pull(&store, &registry.reference("top")).await.unwrap();
    let lower: Vec<_> =
        pulled.layers.iter().rev().map(|layer| layer.display().to_string()).collect();
    let merged = folder.path().join("merged");
    fs::create_dir(&merged).unwrap();
    // Mounted where nobody else sees it, and gone with the process.
    let script = r#"mount -t overlay overlay -o "lowerdir=$1" "$2" && cd "$2" && cat etc/os-release && ls -A etc"#;
    let merged = merged.to_str().unwrap();
    let said = run("unshare", &["--mount", "sh", "-c", script, "sh", &lower.join(":"), merged]);
    assert_eq!(said, "NAME=top\nos-release\n");
}

#[tokio::test]
async fn img_01_a_registry_with_passwords_takes_the_right_ones_and_no_others() {
    let registry = Registry::start(|folder| {
        let path = folder.join("htpasswd");
        fs::write(&path, format!("{HTPASSWD}\n")).unwrap();
        (
            String::new(),
            format!("auth: {{ htpasswd: {{ realm: test, path: {} }} }}\n", path.display()),
        )
    })
    .await;
    registry.push("top", &["--dest-creds", "me:secret"]);
    let reference = registry.reference("top");
    let (_folder, store) = store_with(settings());
    let (failed, _) = failure(pull(&store, &reference).await);
    assert!(matches!(*failed, Failure::Unauthorised { .. }));
    let options = |password| {
        let credentials = Credentials::none().with_password(&registry.address, "me", password);
        PullOptions { credentials: Some(credentials), ..PullOptions::default() }
    };
    let (failed, words) = failure(store.pull(&reference, &options("wrong")).wait().await);
    assert!(matches!(*failed, Failure::WrongCredentials { .. }));
    assert!(!words.contains("wrong "), "{words}");
    check_top(&store.pull(&reference, &options("secret")).wait().await.unwrap());
    // The default ones, in Docker's form, do as well.
    let docker = format!(r#"{{"auths":{{"{}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#, registry.address);
    let credentials = Credentials::from_docker_config(&docker).unwrap();
    let (_folder, store) = store_with(Settings { credentials, ..settings() });
    check_top(&pull(&store, &reference).await.unwrap());
}

#[tokio::test]
async fn img_01_a_registry_with_tls_is_trusted_only_with_its_authority() {
    let registry = Registry::start(|folder| {
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let certificate =
            CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        let folder = folder.display();
        (
            format!("  tls: {{ certificate: {folder}/cert.pem, key: {folder}/key.pem }}\n"),
            String::new(),
        )
    })
    .await;
    registry.push("top", &[]);
    let (_folder, store) = store_with(settings());
    let (failed, words) = failure(pull(&store, &registry.reference("top")).await);
    assert!(matches!(*failed, Failure::Untrusted { .. }), "{words}");
    let authorities = vec![registry.folder.path().join("ca.pem")];
    let (_folder, store) = store_with(Settings { authorities, ..settings() });
    check_top(&pull(&store, &registry.reference("top")).await.unwrap());
}

#[tokio::test]
async fn img_09_the_manifest_and_the_layers_of_a_docker_uri_come_from_its_registry() {
    let registry = Registry::plain().await;
    registry.push("top", &[]);
    let (_folder, store) = store_with(settings());
    let uri = format!("docker://{}", registry.reference("top"));
    let reference = Reference::parse(&uri, images::DOCKER_HUB).unwrap();
    check_top(&pull(&store, &reference).await.unwrap());
}

#[tokio::test]
async fn img_02_archives_of_docker_save_are_read_plain_and_compressed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("save.tar");
    let path = path.to_str().unwrap();
    let made = images_made();
    let layout = made.path().join("layout");
    run(
        "skopeo",
        &[
            "--insecure-policy",
            "copy",
            &format!("oci:{}:top", layout.display()),
            &format!("docker-archive:{path}:app:v1"),
        ],
    );
    let (_store_folder, store) = store_with(settings());
    let parse = |text: String| Reference::parse(&text, images::DOCKER_HUB).unwrap();
    let pulled = pull(&store, &parse(format!("docker-archive:{path}"))).await.unwrap();
    check_top(&pulled);
    check_top(&pull(&store, &parse(format!("docker-archive:{path}:app:v1"))).await.unwrap());
    let (failed, words) =
        failure(pull(&store, &parse(format!("docker-archive:{path}:app:v2"))).await);
    assert!(matches!(*failed, Failure::NoSuchImage { .. }) && words.contains("app:v1"), "{words}");
    run("gzip", &["-1", path]);
    let (_store_folder, store) = store_with(settings());
    check_top(&pull(&store, &parse(format!("docker-archive:{path}.gz:app:v1"))).await.unwrap());
}

#[tokio::test]
async fn layouts_and_folders_need_no_registry() {
    let made = images_made();
    let layout = made.path().join("layout");
    let (_folder, store) = store_with(settings());
    let parse = |text: String| Reference::parse(&text, images::DOCKER_HUB).unwrap();
    let pulled = pull(&store, &parse(format!("oci:{}:top", layout.display()))).await.unwrap();
    check_top(&pulled);
    let (failed, words) = failure(pull(&store, &parse(format!("oci:{}", layout.display()))).await);
    assert!(
        matches!(*failed, Failure::NoSuchImage { .. }) && words.contains("base, top"),
        "{words}"
    );
    let pulled = pull(&store, &parse(format!("dir:{}", layout.display()))).await.unwrap();
    assert_eq!((pulled.layers, pulled.digest), (vec![layout.clone()], None));
    let missing = pull(&store, &parse(format!("dir:{}/none", layout.display()))).await;
    assert!(matches!(*failure(missing).0, Failure::File { .. }));
}

#[tokio::test]
async fn img_01_a_mirror_is_asked_first_and_passed_over_when_it_fails() {
    let (mirror, registry) = (Registry::plain().await, Registry::plain().await);
    registry.push("top", &[]);
    mirror.push("base", &[]);
    let mirrors =
        [(registry.address.clone(), vec!["127.0.0.1:1".into(), mirror.address.clone()])].into();
    let (_folder, store) = store_with(Settings { mirrors, ..settings() });
    // Only the mirror has `base`, only the registry has `top`.
    let base = pull(&store, &registry.reference("base")).await.unwrap();
    assert_eq!(base.layers.len(), 1);
    check_top(&pull(&store, &registry.reference("top")).await.unwrap());
}
