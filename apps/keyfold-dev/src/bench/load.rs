//! Signatures through every real process.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use alloy_primitives::aliases::U160;
use keyfold_client::client_api::{SignRequest, WirePayload};
use keyfold_client::{Session, Wallet};

use crate::journey::payment;
use crate::system::{CHAIN_ID, Device, Project, System, SystemError};

/// A signed-in device with a wallet.
#[derive(Debug)]
pub(super) struct Load {
    device: Device,
    session: Session,
    wallet: Wallet,
}

/// How long signatures took.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) at_once: u32,
    pub(super) count: usize,
    /// Microseconds.
    pub(super) p50: f64,
    /// Microseconds.
    pub(super) p99: f64,
    elapsed: Duration,
}

impl Measured {
    fn of(at_once: NonZeroU32, mut times: Vec<Duration>, elapsed: Duration) -> Self {
        times.sort_unstable();
        Self {
            at_once: at_once.get(),
            count: times.len(),
            p50: percentile(&times, 50),
            p99: percentile(&times, 99),
            elapsed,
        }
    }

    pub(super) fn per_second(&self) -> f64 {
        let count = u32::try_from(self.count).unwrap_or(u32::MAX);
        f64::from(count) / self.elapsed.as_secs_f64()
    }
}

/// The value that so many percent do not exceed, in microseconds.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

impl Load {
    pub(super) async fn prepare(
        system: &System,
        project: &Project,
        email: &str,
    ) -> Result<Self, SystemError> {
        let device = system.new_device(project)?;
        let session = system.sign_in(&device, project, email).await?;
        let wallet = device
            .create_wallet(&session, "main")
            .await
            .map_err(SystemError::step("make a wallet"))?;
        // From here on the attestation names the wallet, as it does for everybody after an hour.
        device
            .renew(&session)
            .await
            .map_err(SystemError::step("renew the attestation"))?;
        Ok(Self {
            device,
            session,
            wallet,
        })
    }

    pub(super) fn attestation(&self) -> Result<String, SystemError> {
        let text = self.session.attestation();
        text.ok_or_else(|| SystemError::Step {
            what: "measure an attestation".to_owned(),
            problem: "it is in a cookie".to_owned(),
        })
    }

    /// The body of a request, as it is signed and sealed.
    pub(super) fn request_body(&self) -> Result<Vec<u8>, SystemError> {
        let request = SignRequest {
            wallet: self.wallet.address(),
            chain_id: CHAIN_ID,
            payload: WirePayload::Transaction {
                space: U160::ZERO,
                nonce: 0,
                calls: vec![payment()],
            },
            on_chain: None,
        };
        serde_json::to_vec(&request).map_err(SystemError::step("write a request"))
    }

    async fn sign(&self) -> Result<Duration, SystemError> {
        let begun = Instant::now();
        self.device
            .sign_transaction(
                &self.session,
                &self.wallet,
                CHAIN_ID,
                U160::ZERO,
                0,
                vec![payment()],
            )
            .await
            .map_err(SystemError::step("sign"))?;
        Ok(begun.elapsed())
    }
}

/// Signs for a while, so many at once.
pub(super) async fn measure(
    load: &Load,
    at_once: NonZeroU32,
    time: Duration,
) -> Result<Measured, SystemError> {
    let begun = Instant::now();
    let signers = (0..at_once.get()).map(|_| async {
        let mut times = Vec::new();
        while begun.elapsed() < time {
            times.push(load.sign().await?);
        }
        Ok::<_, SystemError>(times)
    });
    let times = futures_util::future::try_join_all(signers).await?;
    let elapsed = begun.elapsed();
    Ok(Measured::of(
        at_once,
        times.into_iter().flatten().collect(),
        elapsed,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<_> = (1..=200).map(Duration::from_micros).collect();
        assert!((percentile(&times, 50) - 100.0).abs() < 1e-6);
        assert!((percentile(&times, 99) - 198.0).abs() < 1e-6);
        assert!((percentile(&times[..1], 99) - 1.0).abs() < 1e-6);
        assert!(percentile(&[], 50).abs() < 1e-6);
    }
}
