//! What an executor's second start shuts a program into: the agent writes it down beside the executor's records, and whoever
//! becomes the program reads it. So neither the command line nor the environment of a process says it, and the agent's next life
//! finds what its container uses.
//!
//! ```text
//! containers/<container>/inside      this
//! containers/<container>/box/task/   the container's own checkpoints; see [`crate::runtime`]
//! ```

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use protocol::executor::ENV_SANDBOX;
use serde::{Deserialize, Serialize};

use crate::confinement::Mount;
use crate::confinement::rootfs::UPPER;
use crate::container::{Container, ContainerName};
use crate::isolator::{ContainerPath, Isolators};
use crate::life::Running;
use crate::runtime::{Folder, Runtime, SCRATCH};

/// No record is larger: most of it are a filter and some dozens of mounts.
const BYTES_MAX: u64 = 8 << 20;
const FILE_NAME: &str = "inside";
const BOX: &str = "box";
const TASK: &str = "task";

/// All of it. On disk, as JSON behind a checksum: what it is to be is read by the executor that is started with it, and its layers by
/// later versions of the agent as well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// All but the program's arguments and its environment.
    pub container: Container,
    /// What the image has in its environment; whoever else says something of a name counts more.
    pub environment: Vec<(String, String)>,
    /// The program and its arguments from the zeroth on, where it is the image that says what runs.
    pub program: Option<Vec<String>>,
    /// Where the program finds its sandbox.
    pub sandbox: PathBuf,
    /// The image, as it was asked for.
    pub image: Option<String>,
    /// The digests of its layers, which are in use as long as this is there.
    pub layers: Vec<String>,
    /// Paths of the host that are mounted for whoever runs the program: it must be able to reach them itself.
    pub reached: Vec<PathBuf>,
}

impl Inside {
    /// Writes it into a folder of records, without secrets.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, records: &Path) -> io::Result<PathBuf> {
        let bare = Self { container: self.container.without_secrets(), ..self.clone() };
        let record = serde_json::to_vec(&bare)?;
        let path = records.join(FILE_NAME);
        let beside = records.join("inside.new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&crc32c::crc32c(&record).to_le_bytes())?;
        file.write_all(&record)?;
        std::fs::rename(&beside, &path)?;
        Ok(path)
    }

    /// Gives secret files what they hold, in their order, which was not written down.
    ///
    /// # Errors
    /// If there are not as many of both, in words.
    pub fn put_secrets(&mut self, values: Vec<Vec<u8>>) -> Result<(), String> {
        let mut values = values.into_iter();
        for mount in &mut self.container.confinement.mounts {
            if let Mount::Secret { value, .. } = mount {
                *value = values.next().ok_or("a secret file is without what it is to hold")?;
            }
        }
        match values.next() {
            None => Ok(()),
            Some(_) => Err("there are more secrets than files for them".to_owned()),
        }
    }

    /// What its program has in its environment where nobody says anything else: the image's words, and what those may leave out.
    pub fn beneath(&self) -> impl Iterator<Item = (&str, &str)> {
        let said = self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.container.confinement.root.iter().map(|_| ("HOME", "/root")).chain(said)
    }

    /// What its program has in its environment whatever is said: where things are, as it sees them.
    pub fn above(&self) -> [(&'static str, &Path); 3] {
        let begins = self.container.confinement.work_dir.as_deref().unwrap_or(&self.sandbox);
        let sandbox = self.sandbox.as_path();
        [(ENV_SANDBOX, sandbox), ("MESOS_SANDBOX", sandbox), ("PWD", begins)]
    }

    /// As it was written to this file.
    ///
    /// # Errors
    /// The disk's, or that it is not whole.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&whole(path)?)?)
    }
}

/// The digests of the layers that the container of the executor with these records uses; none, if it has no image.
pub fn layers(records: &Path) -> Vec<String> {
    /// What counts, whatever else another version wrote.
    #[derive(Default, Deserialize)]
    struct Layers {
        #[serde(default)]
        layers: Vec<String>,
    }
    let read = whole(&records.join(FILE_NAME)).ok();
    let layers = read.and_then(|record| serde_json::from_slice::<Layers>(&record).ok());
    layers.unwrap_or_default().layers
}

fn whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
    let (sum, record) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    match crc32c::crc32c(record) == u32::from_le_bytes(*sum) {
        true => Ok(record.to_vec()),
        false => Err(damaged()),
    }
}

/// Where the container of the executor with these records is checkpointed; there must be none yet.
///
/// # Errors
/// The disk's.
pub fn make_folder(records: &Path) -> io::Result<Folder> {
    let path = records.join(BOX);
    DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    Runtime::open(&path)?.make(&name())
}

/// Whether anything is left of the container of the executor with these records.
pub fn is_left(records: &Path) -> bool {
    records.join(BOX).exists()
}

/// Ends and undoes what is left of the container of the executor with these records: processes, and what it wrote into its root.
/// Nothing that is mounted anywhere is looked into. It blocks; in words, what is left.
///
/// # Errors
/// What could not be undone; once more is no harm.
pub fn clear(records: &Path) -> Result<(), String> {
    let path = records.join(BOX);
    if !is_left(records) {
        return Ok(());
    }
    let words = |error: io::Error| format!("look into {}: {error}", path.display());
    for (_, folder) in Runtime::open(&path).and_then(|runtime| runtime.all()).map_err(words)? {
        let cleared = Running::clear(id(), folder, &Isolators::default());
        let left = cleared.termination().map(|termination| termination.left.join("; "));
        if let Some(left) = left.filter(|left| !left.is_empty()) {
            return Err(left);
        }
    }
    Ok(())
}

/// Of what an executor shuts in, to whom it is the only container there is.
pub fn id() -> ContainerPath {
    ContainerPath::of_executor(name())
}

/// Where that lies what the program of the executor with these records writes into its root, beside the layers of its image; nothing is
/// there, if it has no such root. Where layers are copied it cannot be told apart from them.
pub fn written(records: &Path) -> PathBuf {
    records.join(BOX).join(TASK).join(SCRATCH).join(UPPER)
}

fn name() -> ContainerName {
    ContainerName::new(TASK).expect("the name is one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let mut inside = Inside { layers: vec!["sha256:0".into()], ..Inside::default() };
        inside.container.arguments.push(c"sh".into());
        inside.container.confinement.mounts = Mount::usual(1);
        let path = inside.write(dir.path()).unwrap();
        assert_eq!(Inside::read(&path).unwrap(), inside);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(Inside::read(&path).is_err() && layers(dir.path()).is_empty(), "{cut}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(layers(dir.path()), ["sha256:0"]);
        // As another version may write it.
        let other = br#"{"container":7,"layers":["sha256:1"],"more":null}"#;
        let bytes = [&crc32c::crc32c(other).to_le_bytes()[..], other].concat();
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(layers(dir.path()), ["sha256:1"]);
        assert!(Inside::read(&path).is_err());
    }

    #[test]
    fn secrets_are_not_written_down_and_given_to_their_files_again() {
        let dir = tempfile::tempdir().unwrap();
        let secret = |value: &[u8]| Mount::Secret {
            target: "/key".into(),
            value: value.to_vec(),
            mode: 0o400,
            owner: (0, 0),
        };
        let mut inside = Inside::default();
        inside.container.confinement.mounts = vec![secret(b"open"), secret(b"sesame")];
        let path = inside.write(dir.path()).unwrap();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let as_numbers = "111,112,101,110";
        assert!(!text.contains("open") && !text.contains(as_numbers), "{text}");
        let mut read = Inside::read(&path).unwrap();
        assert!(read.put_secrets(vec![b"open".to_vec()]).is_err());
        let three = [&b"a"[..], b"b", b"c"].map(<[u8]>::to_vec);
        assert!(read.put_secrets(three.to_vec()).is_err());
        read.put_secrets(vec![b"open".to_vec(), b"sesame".to_vec()]).unwrap();
        assert_eq!(read, inside);
    }

    #[test]
    fn cont_03_what_a_container_left_is_cleared_and_what_is_elsewhere_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (records, outside) = (dir.path().join("records"), dir.path().join("volume"));
        std::fs::create_dir(&records).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), "x").unwrap();
        assert_eq!(clear(&records), Ok(()), "there is nothing");
        let folder = make_folder(&records).unwrap();
        let upper = folder.scratch().join("upper");
        std::fs::create_dir_all(upper.join("etc")).unwrap();
        std::os::unix::fs::symlink(&outside, upper.join("link")).unwrap();
        clear(&records).unwrap();
        assert!(!folder.path().exists());
        assert_eq!(std::fs::read(outside.join("kept")).unwrap(), b"x");
        assert!(make_folder(&records).is_ok(), "another may begin");
    }
}
