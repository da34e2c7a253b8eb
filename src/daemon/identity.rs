//! The user and group that the worker becomes.

use nix::unistd::{Uid, User, geteuid};
use platform::Identity;

use super::Fault;
use crate::cli::{Options, USER};

/// How the worker gives up the monitor's privileges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Started as root: become this user and group, inside an empty directory.
    Become(Identity),
    /// Started by an ordinary user, who may hold CAP_NET_RAW: stay that user, drop the rest.
    Stay,
}

/// The customary user of whatever has no other.
const NOBODY: &str = "nobody";

impl Owner {
    /// Says where others run as the user of the worker, too, for all that anybody knows: what one of them has, the others can
    /// reach (signal(7), ptrace(2)).
    pub fn warning(&self) -> Option<String> {
        let Self::Become(identity) = self else {
            return None;
        };
        let nobody = User::from_name(NOBODY).ok().flatten()?;
        (nobody.uid == identity.uid).then(|| {
            format!(
                "user {NOBODY} is shared with other services: create one for this server, and name it with --user"
            )
        })
    }
}

/// Decides it by the user who starts the program and by the command line.
///
/// # Errors
/// When the user does not exist, is root, or is asked for by somebody who cannot become it.
pub fn owner(options: &Options) -> Result<Owner, Fault> {
    let caller = geteuid();
    if caller.is_root() {
        return look_up(options.user.as_deref().unwrap_or(USER))
            .and_then(unprivileged)
            .map(Owner::Become);
    }
    let Some(name) = &options.user else {
        return Ok(Owner::Stay);
    };
    match look_up(name)? {
        user if user.uid == caller => Ok(Owner::Stay),
        _ => Err(Fault::of_configuration(format!(
            "--user {name}: only root can become another user; start as root, or leave the option out"
        ))),
    }
}

fn look_up(name: &str) -> Result<User, Fault> {
    let found = match name.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(name),
    };
    match found {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(Fault::of_configuration(format!(
            "user {name}: no such user on this system; create it, or name another with --user"
        ))),
        Err(errno) => Err(Fault::new(format!("user {name}: {}", errno.desc()))),
    }
}

fn unprivileged(user: User) -> Result<Identity, Fault> {
    if user.uid.is_root() {
        return Err(Fault::of_configuration(format!(
            "user {}: the server does not serve as root; name an unprivileged user with --user",
            user.name
        )));
    }
    Ok(Identity {
        uid: user.uid,
        gid: user.gid,
    })
}
