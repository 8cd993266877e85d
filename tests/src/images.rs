//! Images for stories: made by `umoci` of a static busybox, served by Debian's `docker-registry` behind a password.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// `me:secret`, as `htpasswd -B` writes it.
const HTPASSWD: &str = "me:$2y$05$CYg4CvJf3wKbUVOSzFrdC.GxK.YHN1rJI6bnmGgF2RGLEG8LESVbW";
/// `me:secret` in base64.
const LOGIN: &str = "bWU6c2VjcmV0";
/// A registry that comes up does so within this.
const UP_WITHIN: Duration = Duration::from_secs(30);

/// An OCI layout with three images of busybox: `says` has a command, an environment and a folder to begin in; `enters` an entry point
/// and a user `app` of its own on top; `bare` says nothing.
pub struct Layout(TempDir);

impl Layout {
    /// Shared by the stories that run at the same time; the last one removes it.
    pub fn made() -> Arc<Self> {
        static MADE: Mutex<Weak<Layout>> = Mutex::new(Weak::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layout) = made.upgrade() {
            return layout;
        }
        let layout = Arc::new(Self(TempDir::new().expect("a folder for images")));
        make(layout.0.path());
        *made = Arc::downgrade(&layout);
        layout
    }

    /// Its folder.
    pub fn path(&self) -> PathBuf {
        self.0.path().join("layout")
    }

    /// An image of it, as `airside run` takes it.
    pub fn image(&self, tag: &str) -> String {
        format!("oci:{}:{tag}", self.path().display())
    }
}

/// Runs a program of Debian's, to its good end.
#[track_caller]
pub fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program} is installed: cargo xtask test does so: {error}")
    });
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {words}");
}

fn make(folder: &Path) {
    let (layout, bundle) = (folder.join("layout"), folder.join("bundle"));
    let (layout, bundle) = (layout.display().to_string(), bundle.display().to_string());
    let bare = format!("{layout}:bare");
    run("umoci", &["init", "--layout", &layout]);
    run("umoci", &["new", "--image", &bare]);
    run("umoci", &["unpack", "--image", &bare, &bundle]);
    fill(&Path::new(&bundle).join("rootfs"));
    run("umoci", &["repack", "--image", &bare, &bundle]);
    fs::remove_dir_all(&bundle).expect("it was made");
    run("umoci", &["tag", "--image", &bare, "says"]);
    let says = format!("{layout}:says");
    let config = ["config", "--image", &says, "--config.cmd", "cat"];
    let more = ["--config.cmd", "/etc/os-release", "--config.env", "STORY=of the image"];
    run("umoci", &[&config[..], &more, &["--config.workingdir", "/srv"]].concat());
    // With a second layer: one file is another, one is gone.
    run("umoci", &["tag", "--image", &says, "enters"]);
    let enters = format!("{layout}:enters");
    run("umoci", &["unpack", "--image", &enters, &bundle]);
    let root = Path::new(&bundle).join("rootfs");
    fs::write(root.join("etc/os-release"), "NAME=enters\n").expect("it is ours");
    fs::remove_file(root.join("etc/gone")).expect("it is there");
    run("umoci", &["repack", "--image", &enters, &bundle]);
    fs::remove_dir_all(&bundle).expect("it was made");
    let config = ["config", "--image", &enters, "--config.user", "app"];
    let entrypoint = ["--config.entrypoint", "/bin/sh", "--config.entrypoint", "-c"];
    run("umoci", &[&config[..], &entrypoint, &["--config.cmd", "id"]].concat());
}

fn fill(root: &Path) {
    for folder in ["bin", "etc", "srv", "tmp"] {
        fs::create_dir_all(root.join(folder)).expect("it is ours");
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
    let listed = Command::new("/bin/busybox").arg("--list").output().expect("it runs").stdout;
    for name in String::from_utf8_lossy(&listed).lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(name)).expect("it is ours");
    }
    for (file, text) in [
        ("os-release", "NAME=story\n"),
        ("gone", "not for long\n"),
        ("passwd", "root:x:0:0::/root:/bin/sh\napp:x:1234:1234::/:/bin/sh\n"),
        ("group", "root:x:0:\napp:x:1234:\n"),
    ] {
        fs::write(root.join("etc").join(file), text).expect("it is ours");
    }
}

/// A registry that wants to know who asks.
pub struct Registry {
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
    /// With all images of the layout, as `busybox:TAG`.
    #[track_caller]
    pub fn start(layout: &Layout) -> Self {
        let registry = Self::empty();
        ["bare", "says", "enters"].iter().for_each(|tag| registry.push(&layout.image(tag), tag));
        registry
    }

    /// With nothing in it. Another may take the free port first: then once more.
    #[track_caller]
    pub fn empty() -> Self {
        let begun = (0..5).map(|_| Self::begin()).find_map(|mut one| one.comes_up().then_some(one));
        begun.expect("docker-registry comes up")
    }

    fn begin() -> Self {
        let folder = TempDir::new().expect("a folder for a registry");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a port is free").to_string();
        let (store, users) = (folder.path().join("store"), folder.path().join("htpasswd"));
        fs::write(&users, HTPASSWD).expect("it is ours");
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp:\n  addr: {address}\nauth: {{ htpasswd: {{ realm: story, path: {} }} }}\n",
            store.display(),
            users.display()
        );
        let path = folder.path().join("config.yml");
        fs::write(&path, config).expect("it is ours");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&path).stdin(Stdio::null());
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("docker-registry is installed: cargo xtask test does so");
        Self { process, address, folder }
    }

    fn comes_up(&mut self) -> bool {
        let until = Instant::now() + UP_WITHIN;
        while Instant::now() < until {
            if TcpStream::connect(&self.address).is_ok() {
                return true;
            }
            if self.process.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            std::thread::yield_now();
        }
        false
    }

    /// Puts an image of a layout into it, as `busybox:TAG`.
    pub fn push(&self, image: &str, tag: &str) {
        let to = format!("docker://{}", self.image(tag));
        let flags = ["--insecure-policy", "copy", "--dest-tls-verify=false"];
        let login = ["--dest-creds", "me:secret"];
        run("skopeo", &[&flags[..], &login, &[image, &to]].concat());
    }

    /// An image of it.
    pub fn image(&self, tag: &str) -> String {
        format!("{}/busybox:{tag}", self.address)
    }

    /// A file with what is to be said to it.
    pub fn logins(&self) -> PathBuf {
        let path = self.folder.path().join("config.json");
        let text = format!(r#"{{"auths":{{"{}":{{"auth":"{LOGIN}"}}}}}}"#, self.address);
        fs::write(&path, text).expect("it is ours");
        path
    }
}
