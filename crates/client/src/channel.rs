//! One exchange inside the sealed channel: sign, seal, send, open.
//!
//! # Security
//!
//! Sealing needs a [`Target`], which only verification makes; the reply is what the context of this
//! very request opens. Whatever else arrives is at most a reason to look again.

use keyfold_protocol::client_api::{MAX_BODY, header};
use keyfold_protocol::delivery::{self, HeldAttestation};
use keyfold_protocol::gateway_api::path;
use keyfold_protocol::ids::{ProjectId, RealmId};
use keyfold_protocol::intent::Intent;
use keyfold_protocol::ohttp::{
    InnerRequest, InnerResponse, MAX_ENCAPSULATED_LEN, REQUEST_MEDIA_TYPE, RESPONSE_MEDIA_TYPE,
    encapsulate,
};
use keyfold_protocol::signed_request::{
    Components, DeviceHeaders, MAX_LIFETIME_SECONDS, Profile, SignatureParams, UnsignedRequest,
    content_digest,
};

use crate::environment::{Credential, Environment, Method, OuterRequest, Transport};
use crate::error::{ClientError, Problem};
use crate::instances::Target;

/// A request that is the same however often it is sent, to whichever instance.
pub(crate) struct Call<'a> {
    /// Path inside the channel.
    pub(crate) path: &'static str,
    /// What it is for; its id stays when it is repeated.
    pub(crate) intent: Intent,
    /// The project.
    pub(crate) project: &'a ProjectId,
    /// JSON.
    pub(crate) body: Vec<u8>,
    /// The session attestation, or where it is; absent before there is one.
    pub(crate) attestation: Option<HeldAttestation>,
    /// Whether cookies go with it, and may come back.
    pub(crate) with_cookies: bool,
}

impl Call<'_> {
    /// Says which cookie the gateway is to pass on.
    fn outer_headers(&self) -> Vec<(&'static str, String)> {
        match &self.attestation {
            Some(HeldAttestation::Cookie(sealed)) => {
                vec![(delivery::header::COOKIE, sealed.slot.to_string())]
            }
            _ => Vec::new(),
        }
    }
}

/// Sends a call to a verified instance and returns its reply.
pub(crate) async fn exchange(
    target: &Target,
    realm: RealmId,
    call: &Call<'_>,
    transport: &impl Transport,
    credential: &impl Credential,
    environment: &impl Environment,
) -> Result<InnerResponse, ClientError> {
    let inner = sign(target, realm, call, credential, environment).await?;
    let (sealed, context) =
        encapsulate(target.config(), &inner).map_err(|_| ClientError::InstanceKeys(target.id()))?;
    let response = transport
        .send(OuterRequest {
            method: Method::Post,
            path: path::OHTTP.replace("{instance}", &target.id().to_string()),
            headers: call.outer_headers(),
            with_cookies: call.with_cookies,
            content_type: Some(REQUEST_MEDIA_TYPE),
            body: sealed,
            max_response: MAX_ENCAPSULATED_LEN,
        })
        .await?;
    if response.status != 200 || response.content_type.as_deref() != Some(RESPONSE_MEDIA_TYPE) {
        return Err(match response.status {
            200..=299 => ClientError::UnexpectedReply("a sealed request"),
            status => ClientError::Gateway(Problem::read(status, &response.body)),
        });
    }
    Ok(context.open(&response.body)?)
}

async fn sign(
    target: &Target,
    realm: RealmId,
    call: &Call<'_>,
    credential: &impl Credential,
    environment: &impl Environment,
) -> Result<InnerRequest, ClientError> {
    if call.body.len() > MAX_BODY {
        return Err(ClientError::Unsendable("a body of this size"));
    }
    let device = credential.public_jwk();
    let mut nonce = [0; 16];
    environment.fill_random(&mut nonce)?;
    let profile = match call.attestation {
        Some(_) => Profile::Request,
        None => Profile::SignIn,
    };
    let headers = DeviceHeaders {
        realm: realm.to_string(),
        project: call.project.to_string(),
        intent: call.intent.to_field(),
        session: call
            .attestation
            .as_ref()
            .map(|held| held.hash().to_string()),
    };
    let components = Components {
        method: "POST".to_owned(),
        authority: target.id().to_string(),
        path: call.path.to_owned(),
        query: "?".to_owned(),
        content_digest: content_digest(&call.body),
        device: Some(headers.clone()),
    };
    let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
    let params = SignatureParams {
        created: environment.now_unix_ms() / 1000,
        lifetime_seconds: MAX_LIFETIME_SECONDS,
        nonce: &nonce,
        key_id: &device.thumbprint().to_string(),
    };
    let unsigned = UnsignedRequest::new(profile, components, &params)
        .map_err(|_| ClientError::Unsendable("a header of this form"))?;
    let signature = credential.sign(unsigned.signature_base()).await?;
    let signed = unsigned.with_signature(&signature);

    let mut fields = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        (header::REALM.to_owned(), headers.realm),
        (header::PROJECT.to_owned(), headers.project),
        (header::INTENT.to_owned(), headers.intent),
        (
            header::CONTENT_DIGEST.to_owned(),
            signed.components.content_digest,
        ),
        (header::SIGNATURE_INPUT.to_owned(), signed.signature_input),
        (header::SIGNATURE.to_owned(), signed.signature),
    ];
    if let (Some(attestation), Some(session)) = (&call.attestation, headers.session) {
        let device = serde_json::to_string(&device)
            .map_err(|_| ClientError::Unsendable("the device's key"))?;
        fields.push((header::SESSION.to_owned(), session));
        if let Some(text) = attestation.text() {
            fields.push((header::ATTESTATION.to_owned(), text.to_owned()));
        }
        fields.push((header::DEVICE.to_owned(), device));
    }
    Ok(InnerRequest {
        method: "POST".to_owned(),
        authority: target.id().to_string(),
        path_and_query: call.path.to_owned(),
        headers: fields,
        body: call.body.clone().into(),
    })
}
