//! The four codecs: streaming decompression of untrusted bytes, and compression for what we write.
//!
//! Invariant: a decompressor holds no more than its codec's window, whatever the input claims.

use std::io::{self, Read, Write};

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use flate2::bufread::GzDecoder;
use lz4_flex::frame::FrameDecoder;

use crate::batch::{BatchError, Compression};

const LZ4_MAGIC: u32 = 0x184d_2204;
/// The flag byte of an LZ4 frame: version 1, no block refers to the one before, no dictionary.
const LZ4_FLAGS_MASK: u8 = 0xe3;
const LZ4_FLAGS: u8 = 0x60;
const LZ4_BLOCK_CHECKSUM: u8 = 0x10;
const LZ4_CONTENT_SIZE: u8 = 0x08;
const LZ4_CONTENT_CHECKSUM: u8 = 0x04;
/// In the length of a block: its bytes are not compressed.
const LZ4_PLAIN_BLOCK: u32 = 0x8000_0000;

/// As in upstream: what producers at the highest levels use, 128 MiB. The memory is touched only as
/// far as there is content.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

const XERIAL_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const XERIAL_HEADER_SIZE: usize = XERIAL_MAGIC.len() + 8;
const XERIAL_VERSION: i32 = 1;
/// What the Java library compresses at once.
const XERIAL_BLOCK_SIZE: usize = 32 * 1024;
/// No snappy element makes more of its bytes: a copy of 3 bytes gives up to 64.
const SNAPPY_RATIO_MAX: usize = 22;

/// Gives the decompressed bytes of a batch's records, piece by piece.
pub(crate) enum Decompressor {
    Gzip(Box<GzipReader>),
    Snappy(SnappyReader),
    Lz4(Box<FrameDecoder<Reader<Bytes>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Reader<Bytes>>>),
}

impl Decompressor {
    /// `None` where the bytes are not compressed; they are then not asked for.
    pub(crate) fn new(
        compression: Compression,
        compressed: impl FnOnce() -> Bytes,
    ) -> Result<Option<Decompressor>, BatchError> {
        Ok(Some(match compression {
            Compression::None => return Ok(None),
            Compression::Gzip => Decompressor::Gzip(Box::new(GzipReader::new(compressed()))),
            Compression::Snappy => Decompressor::Snappy(SnappyReader::new(compressed())?),
            Compression::Lz4 => {
                let frame = lz4_frame(compressed())?;
                Decompressor::Lz4(Box::new(FrameDecoder::new(frame.reader())))
            }
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(compressed().reader())
                    .map_err(undecodable)?;
                decoder
                    .window_log_max(ZSTD_WINDOW_LOG_MAX)
                    .map_err(undecodable)?;
                Decompressor::Zstd(Box::new(decoder))
            }
        }))
    }
}

impl Read for Decompressor {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        match self {
            Decompressor::Gzip(reader) => reader.read(target),
            Decompressor::Snappy(reader) => reader.read(target),
            Decompressor::Lz4(reader) => reader.read(target),
            Decompressor::Zstd(reader) => reader.read(target),
        }
    }
}

/// Gzip as Java reads it: members may follow each other, other bytes behind a member are ignored.
pub(crate) struct GzipReader {
    member: GzDecoder<Reader<Bytes>>,
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

impl GzipReader {
    fn new(compressed: Bytes) -> GzipReader {
        GzipReader {
            member: GzDecoder::new(compressed.reader()),
        }
    }
}

impl Read for GzipReader {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.member.read(target)?;
            let rest = self.member.get_ref().get_ref();
            if read > 0 || target.is_empty() || !rest.starts_with(&GZIP_MAGIC) {
                return Ok(read);
            }
            let rest = rest.clone();
            self.member = GzDecoder::new(rest.reader());
        }
    }
}

/// Unpacks bytes that stand by themselves, as the metrics that a client pushes; `None` where that gives more than
/// `max` bytes. Bytes that are not compressed come back as they are.
///
/// # Errors
/// Bytes that the codec cannot read.
pub fn decompress(
    compression: Compression,
    bytes: Bytes,
    max: usize,
) -> Result<Option<Bytes>, BatchError> {
    let Some(mut reader) = Decompressor::new(compression, || bytes.clone())? else {
        return Ok(Some(bytes));
    };
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let mut unpacked = Vec::new();
    let read = (&mut reader).take(limit).read_to_end(&mut unpacked);
    read.map_err(undecodable)?;
    Ok((unpacked.len() <= max).then(|| Bytes::from(unpacked)))
}

/// What a codec said of bytes it cannot read.
pub(crate) fn undecodable(error: io::Error) -> BatchError {
    BatchError::Decompression(error.to_string())
}

/// The one LZ4 frame at the front; upstream ignores what stands behind it.
///
/// The codec would also take legacy frames, blocks that build on each other and a frame without an
/// end. Upstream's consumers take none of them, so such a batch must not be stored.
fn lz4_frame(mut compressed: Bytes) -> Result<Bytes, BatchError> {
    let invalid = |reason: &str| BatchError::Decompression(reason.into());
    let cut_off = |_| invalid("the LZ4 frame is cut off");
    let mut rest = &*compressed;
    let skip = |rest: &mut &[u8], size: usize| {
        *rest = rest
            .split_at_checked(size)
            .ok_or_else(|| invalid("the LZ4 frame is cut off"))?
            .1;
        Ok::<(), BatchError>(())
    };
    if rest.try_get_u32_le().map_err(cut_off)? != LZ4_MAGIC {
        return Err(invalid("there is no LZ4 frame"));
    }
    let flags = rest.try_get_u8().map_err(cut_off)?;
    if flags & LZ4_FLAGS_MASK != LZ4_FLAGS {
        return Err(invalid(
            "the LZ4 frame is of a kind that Kafka does not use",
        ));
    }
    let size_if = |flag, size| if flags & flag == 0 { 0 } else { size };
    // The block size, the content size, the checksum of the header.
    skip(&mut rest, 1 + size_if(LZ4_CONTENT_SIZE, 8) + 1)?;
    loop {
        let block = rest.try_get_u32_le().map_err(cut_off)?;
        if block == 0 {
            break;
        }
        let size = (block & !LZ4_PLAIN_BLOCK) as usize;
        skip(&mut rest, size + size_if(LZ4_BLOCK_CHECKSUM, 4))?;
    }
    skip(&mut rest, size_if(LZ4_CONTENT_CHECKSUM, 4))?;
    let size = compressed.len() - rest.len();
    Ok(compressed.split_to(size))
}

/// Snappy as Kafka's clients write it: one raw block (librdkafka), or the Java library's framing,
/// in which each block stands behind its length.
pub(crate) struct SnappyReader {
    compressed: Bytes,
    framed: bool,
    block: Bytes,
}

impl SnappyReader {
    fn new(mut compressed: Bytes) -> Result<SnappyReader, BatchError> {
        let framed = skip_xerial_header(&mut compressed);
        if compressed.is_empty() && !framed {
            return Err(BatchError::Decompression("there is no snappy block".into()));
        }
        Ok(SnappyReader {
            compressed,
            framed,
            block: Bytes::new(),
        })
    }

    fn next_block(&mut self) -> io::Result<()> {
        let invalid = |reason: &'static str| io::Error::new(io::ErrorKind::InvalidData, reason);
        let block = if self.framed {
            let size = self
                .compressed
                .try_get_i32()
                .map_err(|_| invalid("snappy block cut off"))?;
            let size = usize::try_from(size).map_err(|_| invalid("negative snappy block size"))?;
            if size > self.compressed.len() {
                return Err(invalid("snappy block cut off"));
            }
            self.compressed.split_to(size)
        } else {
            std::mem::take(&mut self.compressed)
        };
        let size = snap::raw::decompress_len(&block).map_err(io::Error::from)?;
        if size > block.len().saturating_mul(SNAPPY_RATIO_MAX) {
            return Err(invalid("snappy block claims more than it can hold"));
        }
        let mut decompressed = vec![0; size];
        snap::raw::Decoder::new()
            .decompress(&block, &mut decompressed)
            .map_err(io::Error::from)?;
        self.block = Bytes::from(decompressed);
        Ok(())
    }
}

impl Read for SnappyReader {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        while self.block.is_empty() {
            // Streams may follow each other; what is too short for a block is ignored.
            while self.framed && skip_xerial_header(&mut self.compressed) {}
            let size_min = if self.framed { size_of::<i32>() } else { 1 };
            if self.compressed.len() < size_min {
                return Ok(0);
            }
            self.next_block()?;
        }
        let size = self.block.len().min(target.len());
        self.block
            .split_to(size)
            .copy_to_slice(target.split_at_mut(size).0);
        Ok(size)
    }
}

/// Behind the magic stand a version and the oldest version that can read it; Java ignores both.
fn skip_xerial_header(compressed: &mut Bytes) -> bool {
    let is_there = compressed.starts_with(&XERIAL_MAGIC) && compressed.len() >= XERIAL_HEADER_SIZE;
    if is_there {
        compressed.advance(XERIAL_HEADER_SIZE);
    }
    is_there
}

/// Compresses what we write ourselves. Writing to memory cannot fail.
pub(crate) fn compress(compression: Compression, records: &[u8], target: &mut Vec<u8>) {
    match compression {
        Compression::None => target.extend_from_slice(records),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(target, flate2::Compression::default());
            let written = encoder
                .write_all(records)
                .and_then(|()| encoder.try_finish());
            written.expect("writing to memory cannot fail");
        }
        Compression::Snappy => compress_snappy(records, target),
        Compression::Lz4 => {
            let info = lz4_flex::frame::FrameInfo::new()
                .block_mode(lz4_flex::frame::BlockMode::Independent)
                .block_size(lz4_flex::frame::BlockSize::Max64KB);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, target);
            encoder
                .write_all(records)
                .expect("writing to memory cannot fail");
            encoder.finish().expect("writing to memory cannot fail");
        }
        Compression::Zstd => {
            let level = zstd::DEFAULT_COMPRESSION_LEVEL;
            let compressed = zstd::bulk::compress(records, level);
            target.extend_from_slice(&compressed.expect("the bound of the result is known"));
        }
    }
}

fn compress_snappy(records: &[u8], target: &mut Vec<u8>) {
    target.extend_from_slice(&XERIAL_MAGIC);
    target.extend_from_slice(&XERIAL_VERSION.to_be_bytes());
    target.extend_from_slice(&XERIAL_VERSION.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(XERIAL_BLOCK_SIZE) {
        let compressed = encoder
            .compress_vec(block)
            .expect("a block is far below 4 GiB");
        target.extend_from_slice(&(compressed.len() as i32).to_be_bytes());
        target.extend_from_slice(&compressed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODECS: [Compression; 4] = [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    fn decompress(compression: Compression, compressed: Vec<u8>) -> Result<Vec<u8>, BatchError> {
        let mut reader = Decompressor::new(compression, || compressed.into())?.unwrap();
        let mut decompressed = Vec::new();
        reader.read_to_end(&mut decompressed).map_err(undecodable)?;
        Ok(decompressed)
    }

    fn text(size: usize) -> Vec<u8> {
        (0..size)
            .map(|index| (index * index / 7 % 61) as u8 + b' ')
            .collect()
    }

    #[test]
    fn what_is_compressed_comes_back() {
        for codec in CODECS {
            for size in [0, 1, 100, XERIAL_BLOCK_SIZE, 300_000] {
                let mut compressed = Vec::new();
                compress(codec, &text(size), &mut compressed);
                assert_eq!(
                    decompress(codec, compressed).unwrap(),
                    text(size),
                    "{codec:?} {size}"
                );
            }
        }
    }

    #[test]
    fn no_more_is_unpacked_than_is_asked_for() {
        let bytes = text(100_000);
        for codec in CODECS {
            let packed = Bytes::from(compressed(codec, &bytes));
            let unpacked = super::decompress(codec, packed.clone(), 100_000).unwrap();
            assert_eq!(unpacked.as_deref(), Some(&*bytes), "{codec:?}");
            let too_much = super::decompress(codec, packed.clone(), 99_999).unwrap();
            assert_eq!(too_much, None, "{codec:?}");
            assert!(super::decompress(codec, packed.slice(..50), 100_000).is_err());
        }
        let plain = super::decompress(Compression::None, Bytes::from_static(b"abc"), 1).unwrap();
        assert_eq!(plain.as_deref(), Some(&b"abc"[..]));
    }

    #[test]
    fn a_raw_snappy_block_is_read() {
        let compressed = snap::raw::Encoder::new()
            .compress_vec(&text(70_000))
            .unwrap();
        assert_eq!(
            decompress(Compression::Snappy, compressed).unwrap(),
            text(70_000)
        );
    }

    #[test]
    fn a_snappy_block_cannot_claim_more_than_it_could_hold() {
        // A length of 2^32 - 1 in front of nothing.
        let compressed = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
        assert!(decompress(Compression::Snappy, compressed).is_err());
    }

    #[test]
    fn what_is_cut_off_is_not_read_to_its_end() {
        for codec in CODECS {
            let mut compressed = Vec::new();
            compress(codec, &text(1000), &mut compressed);
            for end in 0..compressed.len() {
                let cut = decompress(codec, compressed.split_at(end).0.to_vec());
                assert_ne!(cut.as_ref(), Ok(&text(1000)), "{codec:?} cut at {end}");
            }
        }
    }

    fn compressed(codec: Compression, records: &[u8]) -> Vec<u8> {
        let mut compressed = Vec::new();
        compress(codec, records, &mut compressed);
        compressed
    }

    /// As upstream 4.3.1 was seen to take them, or not, in a produce request.
    #[test]
    fn what_stands_behind_the_stream_is_taken_as_upstream_takes_it() {
        let twice = |codec| {
            let halves = [compressed(codec, b"one "), compressed(codec, b"two")].concat();
            decompress(codec, halves)
        };
        assert_eq!(twice(Compression::Gzip).unwrap(), b"one two");
        assert_eq!(twice(Compression::Snappy).unwrap(), b"one two");
        assert_eq!(twice(Compression::Zstd).unwrap(), b"one two");
        assert_eq!(twice(Compression::Lz4).unwrap(), b"one ");
        let with_tail = |codec| decompress(codec, [&*compressed(codec, b"one"), b"zz"].concat());
        assert_eq!(with_tail(Compression::Gzip).unwrap(), b"one");
        assert_eq!(with_tail(Compression::Snappy).unwrap(), b"one");
        assert_eq!(with_tail(Compression::Lz4).unwrap(), b"one");
        assert!(with_tail(Compression::Zstd).is_err());
        let raw_snappy = snap::raw::Encoder::new().compress_vec(b"one").unwrap();
        assert!(decompress(Compression::Snappy, [&*raw_snappy, b"zz"].concat()).is_err());
        for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4] {
            assert!(decompress(codec, Vec::new()).is_err(), "{codec:?}");
        }
    }

    #[test]
    fn lz4_that_consumers_cannot_read_is_refused() {
        let info = lz4_flex::frame::FrameInfo::new().block_mode(lz4_flex::frame::BlockMode::Linked);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&text(1000)).unwrap();
        assert!(decompress(Compression::Lz4, encoder.finish().unwrap()).is_err());
        assert!(decompress(Compression::Lz4, text(1000)).is_err());
        assert!(decompress(Compression::Lz4, Vec::new()).is_err());
    }
}
