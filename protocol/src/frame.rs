//! The length in front of every frame.
//!
//! Invariant: a size that is negative or above the limit is an error before a byte of the frame is
//! waited for; the size never sizes a buffer, the reader grows its own with what arrives.

use crate::error::ProtocolError;

/// Size of the length itself.
pub const FRAME_LENGTH_SIZE: usize = 4;

/// Finds frames in the bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameCodec {
    /// `socket.request.max.bytes`, or less before a client is authenticated.
    pub max_size: i32,
}

impl FrameCodec {
    pub fn new(max_size: i32) -> Self {
        FrameCodec { max_size }
    }

    /// Size of the frame that follows its length, once the length is there.
    pub fn frame_size(&self, buffer: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let Some(length) = buffer.first_chunk::<FRAME_LENGTH_SIZE>() else {
            return Ok(None);
        };
        let size = i32::from_be_bytes(*length);
        match usize::try_from(size) {
            Ok(frame_size) if size <= self.max_size => Ok(Some(frame_size)),
            _ => Err(ProtocolError::FrameSize {
                size,
                max: self.max_size,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODEC: FrameCodec = FrameCodec { max_size: 100 };

    #[test]
    fn the_size_is_known_once_four_bytes_are_there() {
        assert_eq!(CODEC.frame_size(&[0, 0, 0]), Ok(None));
        assert_eq!(CODEC.frame_size(&[0, 0, 0, 7]), Ok(Some(7)));
        assert_eq!(CODEC.frame_size(&[0, 0, 0, 100, 1, 2]), Ok(Some(100)));
        assert_eq!(CODEC.frame_size(&[0, 0, 0, 0]), Ok(Some(0)));
    }

    #[test]
    fn a_size_out_of_range_is_refused_at_once() {
        for length in [
            [0, 0, 0, 101],
            [0xff, 0xff, 0xff, 0xff],
            [0x7f, 0xff, 0xff, 0xff],
        ] {
            let size = i32::from_be_bytes(length);
            let refused = Err(ProtocolError::FrameSize { size, max: 100 });
            assert_eq!(CODEC.frame_size(&length), refused);
        }
    }
}
