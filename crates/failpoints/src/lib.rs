#![doc = include_str!("../README.md")]

#[cfg(feature = "on")]
mod armed;

#[cfg(feature = "on")]
#[doc(hidden)]
pub use armed::reached;

/// A named moment. With a second argument the caller returns that when the moment is asked for an error.
///
/// Must stand in an async function. Without the feature `on` it is nothing.
#[cfg(not(feature = "on"))]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {};
    ($name:literal, $answer:expr) => {};
}

/// A named moment. With a second argument the caller returns that when the moment is asked for an error.
///
/// Must stand in an async function. Without the feature `on` it is nothing.
#[cfg(feature = "on")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        let _ = $crate::reached($name).await;
    };
    ($name:literal, $answer:expr) => {
        if $crate::reached($name).await {
            return $answer;
        }
    };
}
