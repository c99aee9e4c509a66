//! A certificate authority for tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{folder, postgres, template};

/// A certificate authority that no system trusts, and a certificate that it has issued for a server at 127.0.0.1.
#[derive(Debug)]
pub struct Authority(TempDir);

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let authority = Self(folder(postgres::user()));
        let settings = "[req]\ndistinguished_name = name\n[name]\n[root]\nbasicConstraints = critical,CA:TRUE\n\
                        [server]\nbasicConstraints = CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";
        std::fs::write(authority.file("settings"), settings).unwrap();
        authority.issue("root", &[]);
        let (root, key) = (authority.root(), authority.file("root.key"));
        authority.issue("server", &[Path::new("-CA"), &root, Path::new("-CAkey"), &key]);
        if let Some((user, group)) = postgres::user() {
            // PostgreSQL accepts a key only if its own user, or root, owns the file.
            std::os::unix::fs::chown(authority.key(), Some(user), Some(group)).unwrap();
        }
        authority
    }

    /// The certificate to trust it by.
    pub fn root(&self) -> PathBuf {
        self.file("root.pem")
    }

    /// The server's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.file("server.pem")
    }

    /// The server's key.
    pub fn key(&self) -> PathBuf {
        self.file("server.key")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn issue(&self, name: &str, by: &[&Path]) {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
        // Each authority has a name of its own, as the name says which authority has issued a certificate.
        let folder = self.0.path().file_name().unwrap_or_default().to_string_lossy();
        command.args(["-subj", &format!("/CN={name} of {folder}")]);
        command.args(["-extensions", name, "-config"]).arg(self.file("settings"));
        command.arg("-keyout").arg(self.file(&format!("{name}.key")));
        command.arg("-out").arg(self.file(&format!("{name}.pem")));
        template::run(command.args(by));
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
