//! What Debian's package brings, and where.

use std::path::Path;

use crate::EnsembleError;

/// It names all that it needs in its manifest.
const ARCHIVE: &str = "/usr/share/java/zookeeper.jar";

/// That, what TLS needs and the manifest forgot, and what writes to standard error what it would say; without it a server that
/// cannot start does so silently.
pub(crate) const CLASS_PATH: &str = "/usr/share/java/zookeeper.jar:/usr/share/java/netty-codec.jar:/usr/share/java/slf4j-simple.jar";

/// The Java virtual machine.
pub(crate) const JAVA: &str = "java";

/// Says so if ZooKeeper is not installed. Whether there is a Java to run it turns out when it is started.
pub(crate) fn check() -> Result<(), EnsembleError> {
    if Path::new(ARCHIVE).exists() {
        return Ok(());
    }
    Err(EnsembleError::NotInstalled { missing: ARCHIVE.to_owned() })
}
