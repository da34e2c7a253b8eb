//! Landlock (landlock(7)): no file can be opened or made, no TCP connection, and no signal reaches another process.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetError,
    RulesetStatus, Scope,
};

use crate::error::OsError;

/// The newest version of which all is asked for; a kernel that has less gives what it has.
const NEWEST: ABI = ABI::V6;

/// Restricts this thread and those that it starts, with no rule that allows anything.
pub(super) fn restrict(missing: &mut Vec<OsError>) -> Result<(), OsError> {
    let status = ruleset()
        .map_err(|error| OsError::new("landlock", "", std::io::Error::other(error.to_string())))?;
    match status {
        RulesetStatus::FullyEnforced => {}
        RulesetStatus::PartiallyEnforced => missing.push(lacks("this kernel knows a part of it")),
        RulesetStatus::NotEnforced => missing.push(lacks("this kernel does not have it")),
    }
    Ok(())
}

fn ruleset() -> Result<RulesetStatus, RulesetError> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    Ok(ruleset.restrict_self()?.ruleset)
}

fn lacks(why: &'static str) -> OsError {
    OsError::refused("landlock", "", why)
}
