//! Compiles the `.proto` files of `proto/` into Rust, with no system `protoc`, and leaves their
//! descriptors beside the code so that the crate can describe its own schema.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=boxed.txt");
    let root = Path::new("proto");
    let mut files = Vec::new();
    find_protos(root, &mut files)?;
    files.sort();

    let descriptors = protox::compile(&files, [root])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo did not set OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let mut config = prost_build::Config::new();
    // With their names, the types find their tables in the descriptors. Maps in the order of their
    // keys are written the same each time.
    config.enable_type_names().btree_map(["."]);
    // Large parts that are mostly not there, on the heap: a list of empty operations would otherwise
    // take thousands of times the memory of its text.
    for path in fs::read_to_string("boxed.txt")?.lines() {
        config.boxed(path);
    }
    config.compile_fds(descriptors)?;
    Ok(())
}

fn find_protos(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            found.push(path);
        }
    }
    Ok(())
}
