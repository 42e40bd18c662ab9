//! Who calls: an instance whose document, registration and signature were verified.

use std::sync::Arc;

use keyfold_protocol::error_code::Code;
use keyfold_protocol::realm::VerifiedRealm;
use keyfold_protocol::registration::VerifiedInstance;

use crate::error::ApiError;

/// The realm and this holder's place in it.
#[derive(Debug)]
pub(crate) struct OwnRealm {
    pub(crate) realm: VerifiedRealm,
    pub(crate) index: u8,
}

/// A registered instance that signed the call at hand.
///
/// Only [`crate::http`] makes one, after it verified the signature.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    instance: Arc<VerifiedInstance>,
    realm: Option<Arc<OwnRealm>>,
}

impl Caller {
    /// # Security
    ///
    /// To be called with an instance whose signature over the call was verified.
    pub(crate) fn authenticated(
        instance: Arc<VerifiedInstance>,
        realm: Option<Arc<OwnRealm>>,
    ) -> Self {
        Self { instance, realm }
    }

    pub(crate) fn instance(&self) -> &VerifiedInstance {
        &self.instance
    }

    /// Narrows to an instance that registered as part of the holder's realm.
    pub(crate) fn into_member(self) -> Result<Member, ApiError> {
        let realm = self
            .realm
            .ok_or_else(|| ApiError::code(Code::RealmMissing))?;
        match self.instance.realm {
            Some(id) if id == realm.realm.id() => Ok(Member {
                instance: self.instance,
                realm,
            }),
            Some(_) => Err(ApiError::code(Code::WrongRealm)),
            None => Err(ApiError::refused(
                Code::NotRegistered,
                "the instance registered before the realm was made; register again",
            )),
        }
    }
}

/// A registered instance of the holder's own realm that signed the call at hand.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    instance: Arc<VerifiedInstance>,
    realm: Arc<OwnRealm>,
}

impl Member {
    pub(crate) fn instance(&self) -> &VerifiedInstance {
        &self.instance
    }

    pub(crate) fn realm(&self) -> &VerifiedRealm {
        &self.realm.realm
    }

    /// Returns the holder's own index, which is also its shares'.
    pub(crate) fn index(&self) -> u8 {
        self.realm.index
    }
}
