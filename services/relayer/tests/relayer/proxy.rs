//! JSON-RPC in between: counts calls, fails on purpose.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use keyfold_net::client::TcpConnector;
use keyfold_net::{ClientLimits, HttpClient};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Answer = Box<dyn Fn(&Value) -> Option<Value> + Send>;
type Padding = Box<dyn Fn(&Value) -> usize + Send>;

#[derive(Default)]
struct Behaviour {
    /// Answers calls in the node's place.
    answers: Option<Answer>,
    /// A method, and how many bytes its results are made longer, by its parameters.
    padding: Option<(String, Padding)>,
    /// Methods that are answered with an error page.
    broken: BTreeSet<String>,
    /// Methods that are passed on, but whose answer is lost.
    answer_lost: BTreeSet<String>,
    /// Methods that are answered with a lie.
    lies: BTreeMap<String, Value>,
    /// How often each method was passed on.
    passed: BTreeMap<String, usize>,
    down: bool,
}

#[derive(Clone)]
pub(crate) struct Proxy {
    behaviour: Arc<Mutex<Behaviour>>,
    client: HttpClient,
    target: u16,
    pub(crate) address: SocketAddr,
}

impl Proxy {
    pub(crate) async fn start(target: u16) -> (Self, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, target)
    }

    pub(crate) fn on(listener: TcpListener, target: u16) -> (Self, JoinHandle<()>) {
        let proxy = Self {
            behaviour: Arc::default(),
            client: HttpClient::new(TcpConnector, ClientLimits::default()),
            target,
            address: listener.local_addr().unwrap(),
        };
        let app = Router::new()
            .route("/", post(pass))
            .with_state(proxy.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (proxy, task)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.behaviour.lock().unwrap().down = down;
    }

    pub(crate) fn breaks(&self, method: &str, broken: bool) {
        let mut behaviour = self.behaviour.lock().unwrap();
        if broken {
            behaviour.broken.insert(method.to_owned());
        } else {
            behaviour.broken.remove(method);
        }
    }

    pub(crate) fn loses_answer(&self, method: &str) {
        self.behaviour
            .lock()
            .unwrap()
            .answer_lost
            .insert(method.to_owned());
    }

    pub(crate) fn lies(&self, method: &str, result: Value) {
        self.behaviour
            .lock()
            .unwrap()
            .lies
            .insert(method.to_owned(), result);
    }

    /// Answers some calls in the node's place.
    pub(crate) fn answers(&self, answer: impl Fn(&Value) -> Option<Value> + Send + 'static) {
        self.behaviour.lock().unwrap().answers = Some(Box::new(answer));
    }

    /// Makes some results longer.
    pub(crate) fn pads(&self, method: &str, by: impl Fn(&Value) -> usize + Send + 'static) {
        self.behaviour.lock().unwrap().padding = Some((method.to_owned(), Box::new(by)));
    }

    pub(crate) fn passed(&self, method: &str) -> usize {
        self.behaviour
            .lock()
            .unwrap()
            .passed
            .get(method)
            .copied()
            .unwrap_or_default()
    }

    /// Asks the node directly.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer: Value =
            serde_json::from_slice(&self.forward(call.to_string().into()).await).unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn forward(&self, body: Bytes) -> Bytes {
        let request = http::Request::post(format!("http://127.0.0.1:{}/", self.target))
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .unwrap();
        self.client.send(request).await.unwrap().into_body()
    }
}

async fn pass(State(proxy): State<Proxy>, body: Bytes) -> Response {
    let call: Value = serde_json::from_slice(&body).unwrap();
    let method = call["method"].as_str().unwrap().to_owned();
    let bad_gateway = || (StatusCode::BAD_GATEWAY, "<html>bad gateway</html>").into_response();
    let (lie, lost, padding) = {
        let mut behaviour = proxy.behaviour.lock().unwrap();
        if behaviour.down || behaviour.broken.contains(&method) {
            return bad_gateway();
        }
        *behaviour.passed.entry(method.clone()).or_default() += 1;
        if let Some(answer) = behaviour.answers.as_ref().and_then(|answer| answer(&call)) {
            return answer.to_string().into_response();
        }
        let padding = match &behaviour.padding {
            Some((padded, by)) if *padded == method => by(&call["params"]),
            _ => 0,
        };
        (
            behaviour.lies.get(&method).cloned(),
            behaviour.answer_lost.contains(&method),
            padding,
        )
    };
    if let Some(result) = lie {
        let answer = json!({"jsonrpc": "2.0", "id": call["id"], "result": result});
        return answer.to_string().into_response();
    }
    let answer = proxy.forward(body).await;
    if lost {
        bad_gateway()
    } else if padding > 0 {
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        if let Some(result) = answer["result"].as_object_mut() {
            result.insert("padding".to_owned(), "x".repeat(padding).into());
        }
        answer.to_string().into_response()
    } else {
        answer.into_response()
    }
}
