//! Names in waves that nobody in the registry bears: a canary that quietly takes nobody would protect nobody.

use super::{ENGINE, ENGINE_MAJOR, FINGERPRINT, HOST, Select, WaveError, WaveSpec};
use crate::selector::Glob;
use crate::tenant::Tenant;

/// Checks that each id and pattern of a `tenants` wave, and each key of a `coverage` wave, is somebody's.
///
/// The whole registry counts, not only whom a command selected: `--tenants` may leave a named tenant out.
///
/// # Errors
/// The first name that is nobody's.
pub fn strangers(waves: &[WaveSpec], registry: &[Tenant]) -> Result<(), WaveError> {
    for wave in waves {
        match &wave.select {
            Select::Tenants(globs) => {
                for glob in globs {
                    named(wave, glob, registry)?;
                }
            }
            Select::Coverage(coverage) => {
                let unknown = coverage.keys.iter().find(|key| {
                    !matches!(key.as_str(), ENGINE | ENGINE_MAJOR | HOST | FINGERPRINT)
                        && !registry.iter().any(|t| t.labels.contains_key(*key))
                });
                if let Some(key) = unknown {
                    return Err(WaveError::NoKey {
                        wave: wave.name.clone(),
                        key: key.clone(),
                    });
                }
            }
            Select::Count(_) | Select::Percent(_) | Select::Labels(_) | Select::Rest => {}
        }
    }
    Ok(())
}

fn named(wave: &WaveSpec, glob: &Glob, registry: &[Tenant]) -> Result<(), WaveError> {
    if registry.iter().any(|t| glob.matches(t.id.as_str())) {
        return Ok(());
    }
    let id = glob.to_string();
    let differs_by_case = registry
        .iter()
        .find(|t| t.id.as_str().to_lowercase() == id.to_lowercase());
    Err(WaveError::NoTenant {
        wave: wave.name.clone(),
        hint: differs_by_case.map_or_else(String::new, |t| format!("; there is `{}`", t.id)),
        id,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Coverage;
    use super::*;
    use crate::testing::tenant;

    #[test]
    fn names_that_are_nobodys_are_named() {
        let mut registry = vec![tenant("acme"), tenant("beta-1")];
        registry[0].labels.insert("plan".into(), "pro".into());
        let named = |ids: &[&str]| {
            let globs = ids.iter().map(|id| Glob::new(*id)).collect();
            strangers(
                &[WaveSpec::new("canary", Select::Tenants(globs))],
                &registry,
            )
        };
        assert_eq!(named(&["acme", "beta-*"]), Ok(()));
        let says = |result: Result<(), WaveError>| result.unwrap_err().to_string();
        assert!(says(named(&["acme", "gone"])).contains("wave canary: tenants names `gone`"));
        assert!(says(named(&["Acme"])).contains("there is `acme`"));
        assert!(says(named(&["x-*"])).contains("`x-*`"));
        let keys = |keys: &[&str]| {
            let coverage = Coverage {
                keys: keys.iter().map(|k| (*k).to_owned()).collect(),
                ..Coverage::default()
            };
            let wave = WaveSpec::new("canary", Select::Coverage(coverage));
            strangers(&[wave], &registry)
        };
        assert_eq!(
            keys(&["engine", "engine_major", "host", "fingerprint", "plan"]),
            Ok(())
        );
        assert!(says(keys(&["plans"])).contains("the key `plans`"));
    }
}
