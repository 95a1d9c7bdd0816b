//! Whatever happens, in whichever order.

use super::*;

/// Random bodies, limits and moments for the refusal, against what must come of them.
#[test]
fn whatever_happens_no_attempt_takes_a_part_for_the_whole() {
    for seed in 0..20_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let channel = Channel::default();
        let limit = random.usize(..24);
        let (first, second) = ReplayBody::new(channel.clone(), limit);
        let (mut first, mut second) = (Some(first), Some(second));
        let (mut sent, mut held, mut replay) = (Vec::new(), false, None);
        let (mut by_first, mut by_second) = (Vec::new(), Vec::new());
        let (mut first_ended, mut second_ended) = (false, false);
        let mut probes = Vec::new();
        channel.lock().tells_end = random.bool();
        for step in 0..40 {
            match random.u8(..8) {
                0 | 1 if !channel.lock().closed => {
                    let data = Bytes::from(vec![step; random.usize(..8)]);
                    sent.extend_from_slice(&data);
                    probes.push(data.slice(..));
                    channel.push(Ok(Frame::data(data)));
                }
                2 if random.u8(..8) == 0 => channel.close(),
                3 if random.u8(..4) == 0 => {
                    held = second.as_ref().is_some_and(Second::hold);
                    assert!(!held || by_first.len() <= limit, "seed {seed}");
                    assert!(held || second.is_none() || by_first.len() > limit, "seed {seed}");
                }
                4 if held && random.bool() => replay = second.take().and_then(Second::into_body),
                5 if random.u8(..32) == 0 => first = None,
                6 if random.u8(..16) == 0 => (second, held) = (None, false),
                _ => {
                    for (body, seen, ended) in [
                        (&mut first, &mut by_first, &mut first_ended),
                        (&mut replay, &mut by_second, &mut second_ended),
                    ] {
                        let Some(body) = body else { continue };
                        let hint = body.size_hint();
                        let told_end = body.is_end_stream();
                        match poll(body) {
                            Poll::Ready(Some(Ok(frame))) => {
                                let data = frame.into_data().unwrap();
                                assert!(!told_end && !*ended, "seed {seed}");
                                assert!(
                                    hint.upper().is_none_or(|upper| upper >= data.len() as u64),
                                    "seed {seed}"
                                );
                                seen.extend_from_slice(&data);
                            }
                            Poll::Ready(None) => *ended = true,
                            Poll::Ready(Some(Err(_))) => assert!(!told_end, "seed {seed}"),
                            Poll::Pending => assert!(!told_end, "seed {seed}"),
                        }
                    }
                }
            }
            let queued: usize = channel.lock().items.len();
            let read = probes.len() - queued;
            let kept = probes[..read].iter().filter(|data| !data.is_unique());
            assert!(kept.map(Bytes::len).sum::<usize>() <= limit, "seed {seed}");
            assert!(sent.starts_with(&by_first), "seed {seed}");
            assert!(sent.starts_with(&by_second), "seed {seed}");
            let whole = channel.lock().closed;
            assert!(!first_ended || whole && by_first == sent, "seed {seed}");
            assert!(!second_ended || whole && by_second == sent, "seed {seed}");
        }
    }
}

#[test]
fn two_threads_can_read_at_the_same_time() {
    for round in 0..2000 {
        let channel = Channel::of(&["1", "2", "3", "4", "5", "6", "7", "8"]);
        let (mut first, second) = ReplayBody::new(channel, 100);
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            loop {
                match poll(&mut first) {
                    Poll::Ready(Some(Ok(frame))) => {
                        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
                    }
                    Poll::Ready(None) => return (text, true),
                    Poll::Ready(Some(Err(_))) => return (text, false),
                    Poll::Pending => std::thread::yield_now(),
                }
            }
        });
        for _ in 0..round % 100 {
            std::hint::spin_loop();
        }
        let mut second = again(second);
        let mut text = String::new();
        loop {
            match poll(&mut second) {
                Poll::Ready(Some(Ok(frame))) => {
                    text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
                }
                Poll::Ready(None) => break,
                Poll::Ready(Some(Err(error))) => panic!("{error}"),
                Poll::Pending => std::thread::yield_now(),
            }
        }
        assert_eq!(text, "12345678");
        let (text, whole) = reader.join().unwrap();
        assert!("12345678".starts_with(&text));
        assert!(!whole || text == "12345678");
    }
}
