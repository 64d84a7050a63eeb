//! Container images from local binaries, tagged by the digest of their content, without any image tool: an archive
//! as `docker save` writes it, with one layer that holds the program, the libraries and the loader that `ldd` names,
//! an empty `/tmp` and, where asked for, whole folders. A user is given by number in the pod: no `/etc/passwd`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::process::run;

/// How many hexadecimal digits of the digest make the tag.
const TAG_DIGITS: usize = 12;

/// What an image is made of.
#[derive(Clone, Debug)]
pub struct Source {
    /// The image's name without a tag, e.g. `lastmile/bng`.
    pub name: String,
    /// The program; it becomes `/usr/bin/FILE-NAME` and the entry point.
    pub program: PathBuf,
    /// Folders that are copied whole: from here, to there in the image.
    pub folders: Vec<(PathBuf, String)>,
}

impl Source {
    /// An image of one program and the libraries that it needs.
    pub fn program(name: &str, program: &Path) -> Self {
        Source { name: name.to_owned(), program: program.to_owned(), folders: Vec::new() }
    }

    /// The same with a folder: `from` of this machine as `to` of the image.
    pub fn with_folder(mut self, from: &Path, to: &str) -> Self {
        self.folders.push((from.to_owned(), to.to_owned()));
        self
    }
}

/// A built image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The full reference, `NAME:DIGEST`.
    pub reference: String,
    /// The archive to import.
    pub archive: PathBuf,
}

/// Builds an image into the folder `cache`, or finds it there when nothing that goes into it has changed since.
pub fn build(source: &Source, cache: &Path) -> Result<Image> {
    build_inner(source, cache).with_context(|| format!("build the image {}", source.name))
}

fn build_inner(source: &Source, cache: &Path) -> Result<Image> {
    fs::create_dir_all(cache)?;
    let files = files(source)?;
    let stem = source.name.replace('/', "-");
    let (archive, note) = (cache.join(format!("{stem}.tar")), cache.join(format!("{stem}.json")));
    let inputs = inputs(source, &files)?;
    let known: Value = fs::read(&note).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    if known["inputs"] == inputs && archive.is_file() {
        let reference = known["reference"].as_str().context("a note without a reference")?.to_owned();
        return Ok(Image { reference, archive });
    }
    let tag = write_archive(source, &files, &archive)?;
    let reference = format!("{}:{tag}", source.name);
    fs::write(&note, json!({ "inputs": inputs, "reference": reference }).to_string())?;
    Ok(Image { reference, archive })
}

/// Imports what is not there yet into the containerd that listens on `socket`.
pub fn import(socket: &Path, images: &[Image]) -> Result<()> {
    let ctr = || {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(socket).args(["--namespace", "k8s.io", "images"]);
        command
    };
    let there = run(ctr().args(["list", "--quiet"]))?;
    let is_there = |image: &Image| there.lines().any(|line| line == format!("docker.io/{}", image.reference));
    for image in images.iter().filter(|image| !is_there(image)) {
        run(ctr().arg("import").arg(&image.archive)).with_context(|| format!("import {}", image.reference))?;
    }
    Ok(())
}

/// The files of an image: path inside it (without the leading slash) → path here. The map's order is the layer's.
fn files(source: &Source) -> Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    files.insert(entry_point(source)?[1..].to_owned(), source.program.clone());
    for library in libraries(&source.program)? {
        let path = library.to_str().context("a library's path is not text")?;
        files.insert(path.trim_start_matches('/').to_owned(), library.clone());
    }
    for (from, to) in &source.folders {
        add_folder(&mut files, from, to.trim_matches('/'))?;
    }
    Ok(files)
}

fn entry_point(source: &Source) -> Result<String> {
    let name = source.program.file_name().and_then(|name| name.to_str()).context("a program without a name")?;
    Ok(format!("/usr/bin/{name}"))
}

fn add_folder(files: &mut BTreeMap<String, PathBuf>, from: &Path, to: &str) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a file's name is not text")?;
        let to = format!("{to}/{name}");
        if entry.path().is_dir() {
            add_folder(files, &entry.path(), &to)?;
        } else {
            files.insert(to, entry.path());
        }
    }
    Ok(())
}

/// The libraries and the loader that a program needs; none where it is linked statically.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("run ldd")?;
    anyhow::ensure!(program.is_file(), "{} is missing: build it first", program.display());
    Ok(parse_ldd(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_ldd(output: &str) -> Vec<PathBuf> {
    let path_of = |line: &str| {
        let target = line.split_once("=>").map_or(line, |(_, target)| target);
        target.split_whitespace().next().filter(|word| word.starts_with('/')).map(PathBuf::from)
    };
    output.lines().filter(|line| !line.ends_with(':')).filter_map(path_of).collect()
}

/// What tells, without reading them, that the files are those of the last time.
fn inputs(source: &Source, files: &BTreeMap<String, PathBuf>) -> Result<Value> {
    let mut inputs = vec![json!([source.name, entry_point(source)?])];
    for (to, from) in files {
        let meta = fs::metadata(from).with_context(|| format!("read {}", from.display()))?;
        inputs.push(json!([to, from, meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ino()]));
    }
    Ok(Value::Array(inputs))
}

/// Writes the archive and returns the tag. The same content gives the same bytes: no times, no owners.
fn write_archive(source: &Source, files: &BTreeMap<String, PathBuf>, archive: &Path) -> Result<String> {
    let layer = archive.with_extension("layer");
    let layer_digest = write_layer(files, &layer)?;
    let entry_point = entry_point(source)?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": { "Entrypoint": [entry_point], "Env": ["PATH=/usr/bin"], "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
    })
    .to_string();
    let digest = hex(&Sha256::digest(&config));
    let tag = digest[..TAG_DIGITS].to_owned();
    let config_name = format!("{digest}.json");
    let manifest =
        json!([{ "Config": config_name, "RepoTags": [format!("{}:{tag}", source.name)], "Layers": ["layer.tar"] }]);

    let partial = archive.with_extension("partial");
    let mut tar = tar::Builder::new(io::BufWriter::new(File::create(&partial)?));
    append(&mut tar, &config_name, 0o644, config.len() as u64, config.as_bytes())?;
    append(&mut tar, "layer.tar", 0o644, fs::metadata(&layer)?.len(), File::open(&layer)?)?;
    let manifest = manifest.to_string();
    append(&mut tar, "manifest.json", 0o644, manifest.len() as u64, manifest.as_bytes())?;
    tar.into_inner()?.flush()?;
    fs::rename(&partial, archive)?;
    fs::remove_file(&layer)?;
    Ok(tag)
}

/// Writes the layer and returns its digest.
fn write_layer(files: &BTreeMap<String, PathBuf>, layer: &Path) -> Result<String> {
    let output = Hashing { inner: io::BufWriter::new(File::create(layer)?), digest: Sha256::new() };
    let mut tar = tar::Builder::new(output);
    let mut header = header(0o1777, 0);
    header.set_entry_type(tar::EntryType::Directory);
    tar.append_data(&mut header, "tmp/", io::empty())?;
    for (to, from) in files {
        let file = File::open(from).with_context(|| format!("read {}", from.display()))?;
        let meta = file.metadata()?;
        let mode = if meta.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
        append(&mut tar, to, mode, meta.len(), file.take(meta.len()))?;
    }
    let mut output = tar.into_inner()?;
    output.flush()?;
    Ok(hex(&output.digest.finalize()))
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, mode: u32, size: u64, data: impl io::Read) -> Result<()> {
    tar.append_data(&mut header(mode, size), path, data).with_context(|| format!("pack {path}"))
}

fn header(mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Digests what passes through it.
struct Hashing<W> {
    inner: W,
    digest: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_names_libraries_and_the_loader_and_not_the_kernels_own() {
        let output = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x1)\n\
                      \tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x2)\n";
        let expected = ["/lib/x86_64-linux-gnu/libgcc_s.so.1", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(parse_ldd(output), expected);
        assert_eq!(parse_ldd("\tnot a dynamic executable\n"), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_tag_is_the_contents_and_nothing_elses() {
        let folder = tempfile::tempdir().unwrap();
        let (program, web) = (folder.path().join("program"), folder.path().join("web"));
        fs::create_dir(&web).unwrap();
        fs::write(&program, "one").unwrap();
        fs::write(web.join("index.html"), "<html>").unwrap();
        let source = Source::program("lastmile/test", &program).with_folder(&web, "/usr/share/web");
        let first = build(&source, &folder.path().join("a")).unwrap();
        let again = build(&source, &folder.path().join("a")).unwrap();
        let elsewhere = build(&source, &folder.path().join("b")).unwrap();
        assert_eq!(first, again);
        assert_eq!(first.reference, elsewhere.reference);
        assert_eq!(fs::read(&first.archive).unwrap(), fs::read(&elsewhere.archive).unwrap());
        fs::write(web.join("index.html"), "<HTML>").unwrap();
        assert_ne!(build(&source, &folder.path().join("a")).unwrap().reference, first.reference);
    }
}
