use std::sync::Mutex;

use http::Request;
use keyfold_net::client::ClientLimits;
use keyfold_net::pipe::{HybridConnector, connect_port};
use keyfold_net::{HttpClient, ShutdownTrigger};
use keyfold_protocol::delivery::CookieChange;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;

/// An inbound pipe with places for two, whose operations enter and wait.
struct World {
    folder: TempDir,
    entered: Arc<Notify>,
    go_on: Arc<Notify>,
    /// Fails, instead of waiting, once the first operation was cut off.
    finished: oneshot::Receiver<()>,
    trigger: ShutdownTrigger,
    serving: JoinHandle<()>,
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("in.sock")).unwrap();
        let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (finish, finished) = oneshot::channel();
        let finish = Mutex::new(Some(finish));
        let answer = {
            let (entered, go_on) = (Arc::clone(&entered), Arc::clone(&go_on));
            move |request: HostRequest| {
                let (entered, go_on) = (Arc::clone(&entered), Arc::clone(&go_on));
                let operation = request.method == "POST";
                let finish = operation.then(|| finish.lock().unwrap().take()).flatten();
                async move {
                    if operation {
                        entered.notify_one();
                        go_on.notified().await;
                    }
                    if let Some(finish) = finish {
                        finish.send(()).unwrap();
                    }
                    HostResponse {
                        status: 200,
                        content_type: "text/x-done",
                        set_session: request.sealed_session.map(|slot| CookieChange::Clear {
                            slot: slot.parse().unwrap(),
                        }),
                        body: request.body,
                    }
                }
            }
        };
        let (trigger, shutdown) = Shutdown::manual();
        Self {
            folder,
            entered,
            go_on,
            finished,
            trigger,
            serving: tokio::spawn(
                Inbound::new(answer, 2)
                    .serve(move |server| server.hybrid(listener, INBOUND_PORT, shutdown)),
            ),
        }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("in.sock")
    }

    /// Begins an operation, and hangs up once it is under way.
    async fn begin_and_hang_up(&self) {
        let mut pipe = UnixStream::connect(self.socket()).await.unwrap();
        connect_port(&mut pipe, INBOUND_PORT).await.unwrap();
        let head = b"POST /x HTTP/1.1\r\nhost: enclave\r\ncontent-length: 0\r\n\r\n";
        pipe.write_all(head).await.unwrap();
        self.entered.notified().await;
    }

    async fn send(&self, method: &str) -> http::Response<Bytes> {
        self.send_beside(method, &[]).await
    }

    async fn send_beside(&self, method: &str, sealed: &[&str]) -> http::Response<Bytes> {
        let connector = HybridConnector::new(self.socket(), INBOUND_PORT);
        let mut request = Request::builder().method(method).uri("http://enclave/x");
        for value in sealed {
            request = request.header(SEALED_SESSION, *value);
        }
        let request = request.body(Bytes::new()).unwrap();
        HttpClient::new(connector, ClientLimits::default())
            .send(request)
            .await
            .unwrap()
    }
}

/// Long enough for the server to see that the other side is gone.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn an_operation_whose_caller_hangs_up_comes_to_its_end() {
    let mut world = World::start();
    world.begin_and_hang_up().await;
    tokio::select! {
        ended = &mut world.finished => panic!("cut off: {ended:?}"),
        () = pause() => {}
    }
    world.go_on.notify_one();
    world.finished.await.unwrap();
}

#[tokio::test]
async fn a_shutdown_waits_for_an_operation_whose_caller_hung_up() {
    let mut world = World::start();
    world.begin_and_hang_up().await;
    pause().await;
    world.trigger.trigger();
    tokio::select! {
        _ = &mut world.serving => panic!("the server did not wait"),
        () = pause() => {}
    }
    world.go_on.notify_one();
    world.serving.await.unwrap();
    world.finished.await.unwrap();
}

#[tokio::test]
async fn operations_nobody_waits_for_count_and_the_host_still_hears_how_the_enclave_is() {
    let world = World::start();
    world.begin_and_hang_up().await;
    world.begin_and_hang_up().await;
    pause().await;
    let refused = world.send("POST").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        refused.headers().get(CONTENT_TYPE).unwrap(),
        keyfold_net::problem::PROBLEM_JSON
    );
    assert_eq!(world.send("GET").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_beside_a_request_passes_and_what_is_ambiguous_or_too_long_does_not() {
    let world = World::start();
    let slot = "0123456789abcdef";
    let answer = world.send_beside("GET", &[slot]).await;
    let change = answer.headers().get(SET_SESSION).unwrap();
    assert_eq!(change, format!("{slot} 0").as_str());
    assert!(!world.send("GET").await.headers().contains_key(SET_SESSION));
    let long = "A".repeat(SEALED_TEXT_LEN + 1);
    let strange = "\u{e4}";
    for refused in [&[slot, slot][..], &[&long], &[strange]] {
        let answer = world.send_beside("GET", refused).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{refused:?}");
    }
}
