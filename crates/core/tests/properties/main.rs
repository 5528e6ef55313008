//! Properties of plans and rollouts, through the public interface only.

#[cfg(test)]
mod down;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod rollouts;
mod times;
