//! What a container with a root of its own finds of names: of its machine, of others, and who is asked for them. With the host's
//! network it is told what the host is; with its own, which has a loopback only, there is nobody to ask.

use std::io;
use std::path::Path;

use crate::confinement::Mount;
use crate::confinement::mounts::Propagation;
use crate::runtime::Folder;

/// The files, as mounts that are read only. Those of its own are in its folder.
///
/// # Errors
/// They cannot be written.
pub fn files(folder: &Folder, own_network: bool, hostname: Option<&str>) -> io::Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    let own = std::fs::canonicalize(folder.path())?;
    let mut add = |source: &Path, target: &str| {
        let (source, target) = (source.to_owned(), target.into());
        mounts.push(Mount::Bind {
            source,
            target,
            read_only: true,
            propagation: Propagation::Private,
        });
    };
    if let Some(name) = hostname {
        let written = own.join("hostname");
        std::fs::write(&written, format!("{name}\n"))?;
        add(&written, "/etc/hostname");
    } else {
        add_of_host("/etc/hostname", &mut add);
    }
    if own_network {
        let name = hostname.unwrap_or("localhost");
        let written = own.join("hosts");
        std::fs::write(&written, format!("127.0.0.1 localhost {name}\n::1 localhost\n"))?;
        add(&written, "/etc/hosts");
    } else {
        add_of_host("/etc/hosts", &mut add);
        add_of_host("/etc/resolv.conf", &mut add);
    }
    Ok(mounts)
}

fn add_of_host(path: &str, add: &mut impl FnMut(&Path, &str)) {
    // As it is now: a link may lead to where the container has nothing.
    if let Ok(source) = std::fs::canonicalize(path) {
        add(&source, path);
    }
}
