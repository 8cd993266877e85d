//! A line to somebody else's port that is as bad as a story wants it: it delays, carries few bytes a second, and breaks. It ends
//! with the process.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How bad it is.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// What is said arrives so much later.
    pub delay: Duration,
    /// So many bytes arrive at once, and the next ones with the next tick.
    pub bytes_a_tick: usize,
    /// A connection breaks after so many bytes of one side, with what was on its way.
    pub breaks_after: usize,
}

/// Between two handfuls of bytes.
const TICK: Duration = Duration::from_millis(5);

/// Pieces that may be on their way in one direction; then who says more has to wait.
const ON_THE_WAY: usize = 1024;

/// Opens a line at an address of this machine, and says at which port.
pub fn line(at: IpAddr, to: SocketAddr, weather: Weather) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((at, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for caller in listener.incoming().map_while(Result::ok) {
            // Whoever is not there yet is called again by whoever wants it.
            thread::spawn(move || connect(&caller, to, weather));
        }
    });
    Ok(address)
}

fn connect(caller: &TcpStream, to: SocketAddr, weather: Weather) -> io::Result<()> {
    let called = TcpStream::connect(to)?;
    for (from, to) in [(caller, &called), (&called, caller)] {
        to.set_nodelay(true)?;
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        let (send, pieces) = sync_channel(ON_THE_WAY);
        thread::spawn(move || hear(from, &send, weather));
        thread::spawn(move || say(to, &pieces, weather.delay));
    }
    Ok(())
}

/// Pieces, and when each is due.
type Piece = (Instant, Vec<u8>);

fn hear(mut from: TcpStream, send: &SyncSender<Piece>, weather: Weather) {
    let mut piece = vec![0; weather.bytes_a_tick];
    let mut carried = 0;
    while let Ok(read @ 1..) = from.read(&mut piece) {
        carried += read;
        let due = Instant::now() + weather.delay;
        if carried > weather.breaks_after || send.send((due, piece[..read].to_vec())).is_err() {
            break;
        }
        wait_until(Instant::now() + TICK);
    }
    // Both directions: the other one may hold no word for ever.
    let _ = from.shutdown(Shutdown::Both);
}

fn say(mut to: TcpStream, pieces: &Receiver<Piece>, delay: Duration) {
    while let Ok((due, piece)) = pieces.recv() {
        wait_until(due);
        if to.write_all(&piece).is_err() {
            break;
        }
    }
    wait_until(Instant::now() + delay);
    let _ = to.shutdown(Shutdown::Both);
}

fn wait_until(due: Instant) {
    while let Some(left) = due.checked_duration_since(Instant::now())
        && !left.is_zero()
    {
        thread::park_timeout(left);
    }
}
