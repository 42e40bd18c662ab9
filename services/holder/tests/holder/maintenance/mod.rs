//! Shares out and in under a warrant: only for the image and the generation that t holders' operators
//! signed, never fewer good shares than before, and the old ones end for good.

mod drill;
mod hand_over;
mod list;
mod refresh;
mod restarts;
mod retire;
mod signing;
mod take_over;
mod warrants;
