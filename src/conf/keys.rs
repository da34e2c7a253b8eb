//! The file that `SecureQualificationKeys` names: the secrets that the server shares with clients, a client a line.
//!
//! Secrets stay where the file was read to: words are parts of it, and a diagnostic shows none.

use std::collections::HashMap;
use std::env;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::geteuid;
use platform::OsError;
use zeroize::Zeroizing;

use super::MAX_BYTES;
use super::diagnostic::{Diagnostic, Position, Severity};
use super::scan::parts;
use super::value::{Fault, clip};
use crate::qualification::{ClientKey, IDENTIFIER_MAX, Octets};

/// The one algorithm (RFC 4380 section 5.2.2: the default one).
const ALGORITHM: &str = "hmac-sha1";

/// The word after the secret of a client that is to obtain another one.
const RETIRED: &str = "retired";

/// Fewest octets of a secret. Who has heard one answer can try secrets without asking again (RFC 4380 section 7.2.1).
const SECRET_MIN: usize = 16;

/// Most faults of a file that are reported.
const FAULTS_MAX: usize = 20;

/// What a file of keys holds.
#[derive(Clone, Debug, Default)]
pub struct KeyFile {
    /// A key a client. Incomplete if a diagnostic is an error.
    pub keys: Vec<ClientKey>,
    /// The faults, in the order of the lines; of more than twenty the first, and how many there are.
    pub diagnostics: Vec<Diagnostic>,
}

impl KeyFile {
    /// Reads a file that belongs to root or to the user of this process, and that nobody else can read.
    ///
    /// # Errors
    /// Those of open(2), fstat(2) and read(2), and what is wrong with the file as a whole.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let named = |call, error| Fault::new(OsError::new(call, path.display(), error).to_string());
        let file = super::open(path).map_err(|error| named("open", error))?;
        let metadata = file.metadata().map_err(|error| named("fstat", error))?;
        protected(path, &Protection::of(path, &metadata))?;
        // With all the room that it can need: a vector that grew would leave what it held before.
        let room = usize::try_from(MAX_BYTES.saturating_add(64)).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        let mut limited = file.take(MAX_BYTES.saturating_add(1));
        limited
            .read_to_end(&mut bytes)
            .map_err(|error| named("read", error))?;
        if bytes.len() as u64 > MAX_BYTES {
            let message = format!(
                "{}: larger than {MAX_BYTES} bytes: not a file of keys",
                path.display()
            );
            return Err(Fault::new(message));
        }
        Ok(Self::parse(path, &bytes))
    }

    /// Reads keys from the content of a file. `path` only serves messages.
    #[must_use]
    pub fn parse(path: &Path, bytes: &[u8]) -> Self {
        let mut reader = Reader {
            path,
            file: Self::default(),
            lines: HashMap::new(),
            faults: 0,
        };
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            reader.line(number, line);
        }
        reader.finish()
    }
}

/// Whose a file is, and who else can read it.
struct Protection {
    is_file: bool,
    owner: u32,
    group: u32,
    mode: u32,
    /// It is one of those that systemd gives a service.
    is_credential: bool,
}

impl Protection {
    fn of(path: &Path, metadata: &Metadata) -> Self {
        let credentials = env::var_os("CREDENTIALS_DIRECTORY");
        Self {
            is_file: metadata.is_file(),
            owner: metadata.uid(),
            group: metadata.gid(),
            mode: metadata.mode() & 0o7777,
            is_credential: credentials
                .is_some_and(|directory| path.parent() == Some(directory.as_ref())),
        }
    }
}

fn protected(path: &Path, file: &Protection) -> Result<(), Fault> {
    let path = path.display();
    if !file.is_file {
        return Err(Fault::new(format!("{path}: not a regular file")));
    }
    if file.owner != 0 && file.owner != geteuid().as_raw() {
        let message = format!("{path} belongs to the user {}", file.owner);
        return Err(Fault::new(message)
            .help("a file of keys belongs to root, or to the user who starts the server"));
    }
    // systemd lets the service's user read a file of root's by an access control list, whose mask is where the group's
    // permissions are (`write_credential`, src/core/exec-credential.c; acl(5)).
    let others = match file.is_credential && file.owner == 0 && file.group == 0 {
        true => 0o037,
        false => 0o077,
    };
    if file.mode & others != 0 {
        let message = format!("{path} has mode {:04o}: others may use it", file.mode);
        return Err(Fault::new(message).help(format!("run chmod 600 {path}")));
    }
    Ok(())
}

struct Reader<'a> {
    path: &'a Path,
    file: KeyFile,
    /// The line of each identifier.
    lines: HashMap<Vec<u8>, usize>,
    faults: usize,
}

/// A part of a line: its first character from 1, and its text.
type Part<'a> = (usize, &'a str);

/// A fault of a line: at which part.
struct LineFault<'a> {
    at: Part<'a>,
    fault: Fault,
}

impl<'a> LineFault<'a> {
    fn new(at: Part<'a>, message: impl Into<String>) -> Self {
        let fault = Fault::new(message);
        Self { at, fault }
    }

    fn help(self, help: impl Into<String>) -> Self {
        let fault = self.fault.help(help);
        Self { fault, ..self }
    }
}

impl Reader<'_> {
    fn line(&mut self, number: usize, bytes: &[u8]) {
        let text = match str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let valid = str::from_utf8(valid).unwrap_or_default();
                let at = (valid.chars().count().saturating_add(1), "?");
                let fault = LineFault::new(at, "not UTF-8")
                    .help("write an identifier of any octets in hexadecimal, after 0x");
                return self.report(number, &format!("{valid}?"), fault);
            }
        };
        let words: Vec<Part<'_>> = parts(text, number == 1).collect();
        let Some(first) = words.first() else { return };
        let key = client_key(&words).and_then(|key| self.is_first(number, *first, key));
        match key {
            Ok(key) => self.file.keys.push(key),
            Err(fault) => self.report(number, text, fault),
        }
    }

    /// Notes the line of an identifier that no line has had.
    fn is_first<'l>(
        &mut self,
        number: usize,
        at: Part<'l>,
        key: ClientKey,
    ) -> Result<ClientKey, LineFault<'l>> {
        if let Some(first) = self.lines.get(key.identifier.as_bytes()) {
            let message = format!("identifier again: line {first} has its key");
            return Err(LineFault::new(at, message));
        }
        self.lines.insert(key.identifier.as_bytes().into(), number);
        Ok(key)
    }

    fn report(&mut self, line: usize, text: &str, LineFault { at, fault }: LineFault<'_>) {
        self.faults = self.faults.saturating_add(1);
        if self.faults > FAULTS_MAX {
            return;
        }
        let at = Position {
            line,
            column: at.0,
            width: at.1.chars().count().max(1),
            source: shown(text, line == 1),
        };
        self.push(Severity::Error, Some(at), fault);
    }

    fn push(&mut self, severity: Severity, at: Option<Position>, fault: Fault) {
        self.file.diagnostics.push(Diagnostic {
            severity,
            path: self.path.to_owned(),
            at,
            message: fault.message,
            help: fault.help,
        });
    }

    fn finish(mut self) -> KeyFile {
        let more = self.faults.saturating_sub(FAULTS_MAX);
        if more > 0 {
            let fault = Fault::new(format!("further faults, not shown: {more}"));
            self.push(Severity::Error, None, fault);
        }
        if self.faults == 0 && self.file.keys.is_empty() {
            self.push(Severity::Warning, None, Fault::new("no client in it"));
        }
        self.file
    }
}

/// Reads `ID hmac-sha1 SECRET [retired]`.
fn client_key<'a>(words: &[Part<'a>]) -> Result<ClientKey, LineFault<'a>> {
    let form = format!("a line is ID {ALGORITHM} SECRET, or ID {ALGORITHM} SECRET {RETIRED}");
    let last = words.last().copied().unwrap_or_default();
    let missing = |what| LineFault::new(last, format!("no {what} after this")).help(&*form);
    let mut words = words.iter().copied();
    let identifier = identifier(words.next().ok_or_else(|| missing("client"))?)?;
    let algorithm = words.next().ok_or_else(|| missing("algorithm"))?;
    if !algorithm.1.eq_ignore_ascii_case(ALGORITHM) {
        // It may be the secret.
        return Err(
            LineFault::new(algorithm, format!("the algorithm is not {ALGORITHM}")).help(form),
        );
    }
    let secret = secret(words.next().ok_or_else(|| missing("secret"))?)?;
    let retired = words.next();
    let is_word = |word: Part<'_>| word.1.eq_ignore_ascii_case(RETIRED);
    let wrong = retired.filter(|word| !is_word(*word)).or(words.next());
    if let Some(wrong) = wrong {
        return Err(LineFault::new(wrong, format!("neither {RETIRED} nor a comment")).help(form));
    }
    Ok(ClientKey {
        identifier,
        secret,
        retired: retired.is_some(),
    })
}

fn identifier(word @ (_, text): Part<'_>) -> Result<Octets, LineFault<'_>> {
    let octets = match text.strip_prefix("0x") {
        Some(digits) => Octets::from_hex(digits).map_err(|_| {
            let message = format!("{} is not octets in hexadecimal", clip(text));
            LineFault::new(word, message).help("two digits for each octet")
        })?,
        None if text.contains(char::is_control) => {
            return Err(
                LineFault::new(word, "an identifier with a control character")
                    .help("write it in hexadecimal, after 0x"),
            );
        }
        None => Octets::new(text.into()),
    };
    match octets.as_bytes().len() {
        0 => Err(LineFault::new(word, "an identifier without octets")),
        1..=IDENTIFIER_MAX => Ok(octets),
        len => {
            let message = format!("an identifier of {len} octets: more than {IDENTIFIER_MAX}");
            Err(LineFault::new(word, message))
        }
    }
}

fn secret(word @ (column, text): Part<'_>) -> Result<Octets, LineFault<'_>> {
    let octets = Octets::from_hex(text).map_err(|position| {
        if position == text.len() {
            return LineFault::new(word, "a secret with an odd number of digits")
                .help("two hexadecimal digits for each octet");
        }
        let at = (column.saturating_add(position), "?");
        LineFault::new(at, "not a hexadecimal digit")
            .help("a secret is in hexadecimal, without 0x in front")
    })?;
    match octets.as_bytes().len() {
        ..SECRET_MIN => {
            let len = octets.as_bytes().len();
            let message = format!("a secret of {len} octets: fewer than {SECRET_MIN}");
            Err(LineFault::new(word, message))
        }
        _ => Ok(octets),
    }
}

/// A line as a diagnostic may show it: the first word, the words that are no secret, and an asterisk for any other character.
fn shown(text: &str, is_first_line: bool) -> String {
    let open: Vec<(usize, usize)> = (0..)
        .zip(parts(text, is_first_line))
        .filter(|(number, (_, word))| {
            let known = [ALGORITHM, RETIRED];
            *number == 0 || known.iter().any(|known| word.eq_ignore_ascii_case(known))
        })
        .map(|(_, (column, word))| (column, column.saturating_add(word.chars().count())))
        .collect();
    let is_open = |column| open.iter().any(|(from, to)| (*from..*to).contains(&column));
    let text = text.trim_end_matches(char::is_whitespace);
    (1..)
        .zip(text.chars())
        .map(|(column, c)| match c.is_whitespace() || is_open(column) {
            true => c,
            false => '*',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(file: Protection) -> Option<String> {
        let path = Path::new("/etc/keys");
        protected(path, &file).err().map(|fault| fault.message)
    }

    fn own(mode: u32) -> Protection {
        Protection {
            is_file: true,
            owner: geteuid().as_raw(),
            group: 1000,
            mode,
            is_credential: false,
        }
    }

    #[test]
    fn a_file_is_for_its_owner_alone() {
        for mode in [0o600, 0o400, 0o200, 0o700, 0] {
            assert_eq!(fault(own(mode)), None, "{mode:o}");
            assert_eq!(
                fault(Protection {
                    owner: 0,
                    ..own(mode)
                }),
                None,
                "{mode:o}"
            );
        }
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666] {
            let expected = format!("/etc/keys has mode {mode:04o}: others may use it");
            assert_eq!(fault(own(mode)), Some(expected));
        }
        let owner = geteuid().as_raw().wrapping_add(1);
        assert_eq!(
            fault(Protection {
                owner,
                ..own(0o600)
            }),
            Some(format!("/etc/keys belongs to the user {owner}"))
        );
        assert_eq!(
            fault(Protection {
                is_file: false,
                ..own(0o600)
            }),
            Some("/etc/keys: not a regular file".to_owned())
        );
    }

    #[test]
    fn a_credential_is_as_systemd_makes_it() {
        let credential = |owner, group, mode| Protection {
            owner,
            group,
            is_credential: true,
            ..own(mode)
        };
        let user = geteuid().as_raw();
        assert_eq!(fault(credential(0, 0, 0o440)), None);
        assert_eq!(fault(credential(user, 1000, 0o400)), None);
        for wrong in [
            credential(0, 1000, 0o440),
            credential(0, 0, 0o444),
            credential(0, 0, 0o460),
            Protection {
                is_credential: false,
                ..credential(0, 0, 0o440)
            },
        ] {
            assert!(fault(wrong).is_some());
        }
    }

    #[test]
    fn no_secret_is_shown() {
        for (text, expected) in [
            (
                "client hmac-sha1 00112233 retired",
                "client hmac-sha1 ******** retired",
            ),
            ("client 00112233 hmac-sha1", "client ******** hmac-sha1"),
            (
                "\tc  HMAC-SHA1\t0é11 # 2233\r",
                "\tc  HMAC-SHA1\t**** * ****",
            ),
            ("client hmac-sha1#00", "client ************"),
        ] {
            assert_eq!(shown(text, false), expected);
        }
    }
}
