//! What the second attempt is sent, if the first has read all of the body.

use super::*;

#[test]
fn a_whole_body_is_replayed() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["one", "two", "three"]), 100);
    assert_eq!(all(&mut first), "onetwothree");
    assert_eq!(all(&mut again(second)), "onetwothree");
}

#[test]
fn frames_are_replayed_as_they_came() {
    let (mut first, second) = ReplayBody::new(Channel::of(&["one", "two"]), 100);
    all(&mut first);
    let mut second = again(second);
    assert_eq!(data(&mut second), "one");
    assert_eq!(data(&mut second), "two");
    assert!(matches!(poll(&mut second), Poll::Ready(None)));
}

#[test]
fn data_is_shared_and_not_copied() {
    let (sent, channel) = (Bytes::from(vec![7; 1000]), Channel::default());
    channel.push(Ok(Frame::data(sent.clone())));
    channel.close();
    let (mut first, second) = ReplayBody::new(channel, 1000);
    assert_eq!(data(&mut first).as_ptr(), sent.as_ptr());
    assert_eq!(data(&mut again(second)).as_ptr(), sent.as_ptr());
}

#[tokio::test]
async fn data_that_is_not_bytes_is_replayed() {
    let (first, second) = ReplayBody::new(Full::new(&b"abc"[..]), 3);
    assert_eq!(first.collect().await.unwrap().to_bytes(), "abc");
    assert!(second.hold());
    let second = second.into_body().unwrap();
    assert_eq!(second.collect().await.unwrap().to_bytes(), "abc");
}

#[test]
fn trailers_are_replayed_after_the_data() {
    let channel = Channel::default();
    channel.send("data");
    channel.push(Ok(Frame::trailers(trailers())));
    channel.close();
    let (mut first, second) = ReplayBody::new(channel, 100);
    let told = |body: &mut ReplayBody<Channel>| {
        assert_eq!(data(body), "data");
        assert!(!body.is_end_stream());
        let Poll::Ready(Some(Ok(frame))) = poll(body) else { panic!("no trailers") };
        assert_eq!(frame.into_trailers().unwrap(), trailers());
        assert!(matches!(poll(body), Poll::Ready(None)));
        assert_eq!(state(body), ENDED);
    };
    told(&mut first);
    told(&mut again(second));
}

#[test]
fn trailers_alone_are_replayed() {
    let channel = Channel::default().telling_end();
    channel.push(Ok(Frame::trailers(trailers())));
    channel.close();
    let (mut first, second) = ReplayBody::new(channel, 100);
    poll(&mut first).is_ready();
    assert_eq!(state(&first), ENDED);
    let mut second = again(second);
    assert_eq!(state(&second), exactly(0));
    let Poll::Ready(Some(Ok(frame))) = poll(&mut second) else { panic!("no trailers") };
    assert_eq!(frame.into_trailers().unwrap(), trailers());
    assert_eq!(state(&second), ENDED);
}

#[test]
fn a_body_that_proves_empty_is_replayed() {
    let (mut first, second) = ReplayBody::new(Channel::of(&[]), 0);
    assert_eq!(state(&first), UNKNOWN);
    assert_eq!(all(&mut first), "");
    assert_eq!(state(&first), ENDED);
    let mut second = again(second);
    assert_eq!(state(&second), ENDED);
    assert_eq!(all(&mut second), "");
}
