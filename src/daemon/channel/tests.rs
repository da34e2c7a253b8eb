use std::sync::Barrier;
use std::thread;

use super::*;
use serde::Deserialize;

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(10);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Ready,
    Failed(String),
}

impl Message for Word {
    const MAX_LEN: usize = 64;
}

type End = Channel<Word, Word>;

fn pair() -> (End, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Channel::new(ours).unwrap(), theirs)
}

/// What is made of these bytes and the end of the stream after them.
fn received(bytes: &[u8]) -> io::Result<Option<Word>> {
    let (mut channel, mut stream) = pair();
    stream.write_all(bytes).unwrap();
    drop(stream);
    channel.receive(Some(LONG))
}

fn refused(bytes: &[u8]) -> ErrorKind {
    received(bytes).unwrap_err().kind()
}

#[test]
fn messages_arrive_one_by_one() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (mut ours, theirs) = (End::new(ours).unwrap(), End::new(theirs).unwrap());
    let blocked = ours.try_receive().unwrap_err();
    assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
    // A line feed in a text is no end of a message.
    let failed = Word::Failed("two\nlines".to_owned());
    theirs.send(&Word::Ready, LONG).unwrap();
    theirs.sender().send(&failed, LONG).unwrap();
    drop(theirs);
    assert_eq!(ours.try_receive().unwrap(), Some(Word::Ready));
    assert_eq!(ours.try_receive().unwrap(), Some(failed));
    assert_eq!(ours.try_receive().unwrap(), None);
}

#[test]
fn what_was_sent_before_the_end_is_received() {
    let (mut channel, mut stream) = pair();
    channel.finish();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    stream.write_all(b"\"ready\"\n").unwrap();
    drop(stream);
    assert_eq!(channel.receive(Some(LONG)).unwrap(), Some(Word::Ready));
    assert_eq!(channel.receive(Some(LONG)).unwrap(), None);
}

#[test]
fn a_message_that_was_cut_short_is_none() {
    let whole = b"\"ready\"\n";
    assert_eq!(received(whole).unwrap(), Some(Word::Ready));
    for len in 1..whole.len() {
        assert_eq!(refused(&whole[..len]), ErrorKind::UnexpectedEof, "{len}");
    }
}

#[test]
fn messages_that_run_into_each_other_are_none() {
    for bytes in [
        &b"\"ready\"{\"failed\":\"the worker panicked\"}\n\n"[..],
        b"\"rea{\"failed\":\"\"}\ndy\"\n",
        b"\"ready\"\"ready\"\n",
        b"readyfailed the worker panicked\n",
    ] {
        assert_eq!(refused(bytes), ErrorKind::InvalidData, "{bytes:?}");
    }
}

#[test]
fn what_has_no_room_is_refused_or_waits_and_is_never_torn() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (ours, mut theirs) = (End::new(ours).unwrap(), End::new(theirs).unwrap());
    let line = Word::Failed("x".repeat(50));
    let mut offered = 0;
    while ours.sender().offer(&line) {
        offered += 1;
    }
    // A thread that must be heard waits; one that must not wait is refused, and nothing of it leaves.
    let late = ours.send(&Word::Ready, SHORT).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::TimedOut);
    assert!(ours.interest().contains(PollFlags::POLLOUT));
    assert!(!ours.sender().offer(&line));
    ours.queue(&Word::Ready).unwrap();
    for _ in 0..offered {
        assert_eq!(theirs.receive(Some(LONG)).unwrap().as_ref(), Some(&line));
    }
    ours.flush().unwrap();
    assert!(!ours.interest().contains(PollFlags::POLLOUT));
    for _ in 0..2 {
        assert_eq!(theirs.receive(Some(LONG)).unwrap(), Some(Word::Ready));
    }
    drop(ours);
    assert_eq!(theirs.receive(Some(LONG)).unwrap(), None);
}

/// What keeps a line from leaving is a full stream, never a thread that sends at the same moment.
#[test]
fn threads_do_not_cost_each_other_lines() {
    const LINES: usize = 32;
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (ours, mut theirs) = (End::new(ours).unwrap(), End::new(theirs).unwrap());
    let both = Barrier::new(2);
    for _ in 0..100 {
        thread::scope(|scope| {
            scope.spawn(|| {
                both.wait();
                (0..LINES).for_each(|_| ours.sender().send(&Word::Ready, LONG).unwrap());
            });
            both.wait();
            (0..LINES).for_each(|_| assert!(ours.sender().offer(&Word::Ready)));
        });
        for _ in 0..2 * LINES {
            assert_eq!(theirs.receive(Some(LONG)).unwrap(), Some(Word::Ready));
        }
    }
}

#[test]
fn length_is_bounded_both_ways() {
    let (mut channel, mut stream) = pair();
    let long = Word::Failed("x".repeat(Word::MAX_LEN));
    let error = channel.send(&long, LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    stream.write_all(&[b' '; Word::MAX_LEN]).unwrap();
    let error = channel.try_receive().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    stream.write_all(b"  ").unwrap();
    let error = channel.try_receive().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(channel.received.len(), Word::MAX_LEN + 1);
}

#[test]
fn a_message_that_comes_byte_by_byte_has_one_deadline() {
    let (mut channel, mut stream) = pair();
    stream.write_all(b"\"re").unwrap();
    let late = channel.receive(Some(SHORT)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::TimedOut);
    stream.write_all(b"a").unwrap();
    let late = channel.receive(Some(Duration::ZERO)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::TimedOut);
    // Nothing was lost meanwhile.
    stream.write_all(b"dy\"\n").unwrap();
    assert_eq!(channel.receive(Some(SHORT)).unwrap(), Some(Word::Ready));
}

#[test]
fn a_full_stream_is_waited_for_and_not_for_ever() {
    let (channel, mut stream) = pair();
    let word = Word::Failed("x".repeat(40));
    let error = loop {
        if let Err(error) = channel.send(&word, SHORT) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let reader = std::thread::spawn(move || io::copy(&mut stream, &mut io::sink()));
    channel.send(&word, LONG).unwrap();
    channel.finish();
    reader.join().unwrap().unwrap();
}
