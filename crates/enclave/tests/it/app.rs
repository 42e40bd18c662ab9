//! A project in a realm, and what is asked on its behalf.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256};
use keyfold_enclave::Enclave;
use keyfold_protocol::checkpointer::checkpointer_address;
use keyfold_protocol::client_api::{
    CreateProject, GuardSettings, MailSettings, ProjectInfo, SignRequest, WalletInfo, WireCall,
    WirePayload, path,
};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::intent::Operation;
use keyfold_wallet::signature::{Request, decode, recover};
use keyfold_wallet::{ContextName, EcdsaSignature};

use crate::device::{Device, Reply};
use crate::world::{Machine, World, realm};

pub(crate) const APP: &str = "app.example";
pub(crate) const OTHER: &str = "other.example";
pub(crate) const ANNA: &str = "anna@mail.example";
pub(crate) const BORIS: &str = "boris@mail.example";

/// A realm, an instance, and two projects.
pub(crate) struct App {
    pub(crate) world: Arc<World>,
    pub(crate) enclave: Arc<Enclave<Machine>>,
}

impl App {
    /// Projects without a guard.
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// Projects with the world's guard.
    pub(crate) async fn guarded() -> Self {
        Self::with(|body| body.guard = Some(crate::guard::SimGuard::new().settings())).await
    }

    /// Projects whose wallets have a checkpointer.
    pub(crate) async fn with_checkpointer() -> Self {
        let (world, enclave) = realm().await;
        let checkpointer = checkpointer_of(&world);
        Self::projects(world, enclave, |body| {
            body.checkpointer = Some(checkpointer);
        })
        .await
    }

    /// Projects with other settings than [`project_of`] has.
    pub(crate) async fn with(change: impl Fn(&mut CreateProject)) -> Self {
        let (world, enclave) = realm().await;
        Self::projects(world, enclave, change).await
    }

    /// Projects in a realm that somebody made otherwise.
    pub(crate) async fn of(world: Arc<World>, enclave: Arc<Enclave<Machine>>) -> Self {
        Self::projects(world, enclave, |_| ()).await
    }

    /// As [`App::with`], in a realm that somebody made otherwise.
    pub(crate) async fn projects(
        world: Arc<World>,
        enclave: Arc<Enclave<Machine>>,
        change: impl Fn(&mut CreateProject),
    ) -> Self {
        let app = Self { world, enclave };
        for project in [APP, OTHER] {
            let admin = app.device(project);
            let mut body = project_of(&admin, project, None);
            change(&mut body);
            let made = admin
                .before_session(path::PROJECT_CREATE, Operation::CreateProject, &body)
                .await;
            let info: ProjectInfo = made.ok();
            assert_eq!(info.project.as_str(), project);
            assert_eq!(info.contracts, body.contracts);
        }
        app
    }

    /// A new device of somebody who uses a project.
    pub(crate) fn device(&self, project: &str) -> Device {
        Device::new(Arc::clone(&self.world), Arc::clone(&self.enclave), project)
    }

    /// A device that is signed in.
    pub(crate) async fn signed_in(&self, project: &str, email: &str) -> Device {
        let mut device = self.device(project);
        device.sign_in(email).await;
        device
    }

    /// A device with a wallet that its attestation names.
    pub(crate) async fn with_wallet(&self) -> (Device, WalletInfo) {
        let mut device = self.signed_in(APP, ANNA).await;
        let wallet = device.create_wallet("main").await.ok();
        device.renewed().await;
        (device, wallet)
    }
}

/// Where the realm's checkpointer is on every chain.
pub(crate) fn checkpointer_of(world: &World) -> Address {
    let key = world.holder(1, |holder| {
        let record = holder.realm.as_ref().unwrap().record();
        Address::from(*record.checkpointer.as_bytes())
    });
    checkpointer_address(&key).unwrap()
}

pub(crate) async fn create_project(
    admin: &Device,
    project: &str,
    guard: Option<GuardSettings>,
) -> Reply {
    admin
        .before_session(
            path::PROJECT_CREATE,
            Operation::CreateProject,
            &project_of(admin, project, guard),
        )
        .await
}

pub(crate) fn project_of(
    admin: &Device,
    project: &str,
    guard: Option<GuardSettings>,
) -> CreateProject {
    CreateProject {
        project: project.parse().unwrap(),
        display_name: "Demo".to_owned(),
        administrator: admin.jwk(),
        mail: MailSettings {
            host: "smtp.example".to_owned(),
            port: 465,
            security: Default::default(),
            from: "noreply@app.example".to_owned(),
            username: None,
            password: None,
            roots_pem: None,
        },
        guard,
        checkpointer: None,
        contracts: ContextName::Keyfold,
        sign_in: Default::default(),
    }
}

pub(crate) fn payment(wallet: &WalletInfo, wei: u64) -> SignRequest {
    SignRequest {
        wallet: wallet.address,
        chain_id: 31_337,
        payload: WirePayload::Transaction {
            space: Default::default(),
            nonce: 0,
            calls: vec![WireCall {
                to: Address::repeat_byte(0xaa),
                value: U256::from(wei),
                data: Bytes::new(),
                gas_limit: U256::ZERO,
                ignore_error: false,
            }],
        },
        on_chain: None,
    }
}

pub(crate) fn message(wallet: &WalletInfo, text: &str) -> SignRequest {
    SignRequest {
        wallet: wallet.address,
        chain_id: 31_337,
        payload: WirePayload::Message {
            message: Bytes::copy_from_slice(text.as_bytes()),
        },
        on_chain: None,
    }
}

/// Judges a signature as the wallet's contract does.
pub(crate) fn assert_wallet_accepts(wallet: &WalletInfo, request: &SignRequest, signature: &[u8]) {
    let (payload, digest) = request.digest().unwrap();
    let decoded = decode(signature).unwrap();
    let asked = Request {
        payload: &payload,
        wallet: wallet.address,
        chain_id: request.chain_id,
    };
    let ecrecover = |hash: &alloy_primitives::B256, signature: &EcdsaSignature| {
        let signature = keyfold_crypto::secp256k1::RecoverableSignature {
            r: signature.r().0,
            s: signature.s().0,
            y_parity: signature.y_parity(),
        };
        keyfold_crypto::secp256k1::recover(&hash.0, &signature)
            .ok()
            .map(Address::from)
    };
    let recovered = recover(&asked, &decoded, &ecrecover).unwrap();
    assert_eq!(recovered.image_hash, wallet.image_hash);
    assert_eq!(recovered.op_hash.0, *digest.as_bytes());
}

pub(crate) fn assert_refused(reply: &Reply, code: Code) {
    assert_eq!(reply.code(), Some(code), "{reply:?}");
}
