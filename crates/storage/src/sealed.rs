//! Columns whose values only open in the cell and version they were sealed for.

use keyfold_crypto::SecretBytes;
use keyfold_crypto::envelope::{Aad, KeyRing, OpenError, SealError};
use rand_core::CryptoRng;

/// A column that holds envelopes. One constant for each such column.
///
/// # Security
///
/// Who can write the database cannot move a value to another row, column, table or version. They
/// can put back an older row as a whole, version included: what must not go backwards needs an
/// anchor elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct SealedColumn {
    table: &'static str,
    column: &'static str,
}

impl SealedColumn {
    /// Names the table and column.
    pub const fn new(table: &'static str, column: &'static str) -> Self {
        Self { table, column }
    }

    /// Seals a value for one row (its primary key, in a canonical encoding if it has parts) and one
    /// version of it. A column that never changes has version 0.
    ///
    /// # Errors
    ///
    /// [`SealError`] if the value is too long.
    pub fn seal(
        &self,
        keys: &KeyRing,
        row: &[u8],
        version: u64,
        value: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, SealError> {
        keys.seal(&self.place(row, version), value, rng)
    }

    /// Opens what the column holds in this row at this version.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; all but `UnknownKey` mean that the database was altered.
    pub fn open(
        &self,
        keys: &KeyRing,
        row: &[u8],
        version: u64,
        envelope: &[u8],
    ) -> Result<SecretBytes, OpenError> {
        keys.open(&self.place(row, version), envelope)
    }

    const fn place<'a>(&self, row: &'a [u8], version: u64) -> Aad<'a> {
        Aad {
            table: self.table,
            row,
            column: self.column,
            version,
        }
    }
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use keyfold_crypto::envelope::MasterKey;
    use rand_core::UnwrapErr;

    use super::*;

    const SHARE: SealedColumn = SealedColumn::new("shares", "share");

    #[test]
    fn a_value_opens_in_its_own_cell_and_nowhere_else() {
        let mut rng = UnwrapErr(SysRng);
        let keys = KeyRing::new(MasterKey::generate(&mut rng));
        let sealed = SHARE
            .seal(&keys, b"wallet-1", 3, b"canary", &mut rng)
            .unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"canary"));
        let opened = SHARE.open(&keys, b"wallet-1", 3, &sealed).unwrap();
        opened.expose(|value| assert_eq!(value, b"canary"));
        for (column, row, version) in [
            (SHARE, &b"wallet-2"[..], 3),
            (SHARE, b"wallet-1", 2),
            (SealedColumn::new("shares", "entropy"), b"wallet-1", 3),
            (SealedColumn::new("devices", "share"), b"wallet-1", 3),
        ] {
            assert_eq!(
                column.open(&keys, row, version, &sealed).err(),
                Some(OpenError::Altered)
            );
        }
    }
}
