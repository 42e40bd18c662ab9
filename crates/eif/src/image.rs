//! The container: a header with a table of sections, each with a header of its own, and a checksum.

use keyfold_attest::{Measurements, Pcr, extend};
use sha2::{Digest as _, Sha384};

/// Most bytes of an image that is read.
pub const MAX_IMAGE: usize = 512 * 1024 * 1024;

const MAGIC: [u8; 4] = *b".eif";
const VERSION: u16 = 4;
/// Places in the header's table.
const PLACES: usize = 32;
/// Magic, version, flags, memory, processors, a reserved field, the count, the table of places and
/// sizes, an unused field, the checksum.
const HEADER: usize = 4 + 2 + 2 + 8 + 8 + 2 + 2 + 2 * 8 * PLACES + 4 + 4;
const CHECKSUM_AT: usize = HEADER - 4;

const KERNEL: u16 = 1;
const COMMAND_LINE: u16 = 2;
const RAMDISK: u16 = 3;
const METADATA: u16 = 5;

/// Why bytes are no image, or parts make none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EifError {
    /// Not the magic number, version or architecture that this crate knows.
    #[error("not an enclave image of version 4 for x86-64")]
    NotAnImage,
    /// Ends too early, is too long, or the table does not fit the sections.
    #[error("the image's table of sections is not sound")]
    Malformed,
    /// The checksum is another.
    #[error("the image is damaged: its checksum is another")]
    Checksum,
    /// A part is missing, there twice, unknown or in another order: kernel, command line, metadata,
    /// boot ramdisk, application ramdisks. Signed images are among them.
    #[error("the image has other sections than kernel, command line, metadata and ramdisks")]
    Sections,
}

/// The parts of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The kernel, a bzImage.
    pub kernel: Vec<u8>,
    /// The kernel's command line.
    pub command_line: Vec<u8>,
    /// Describes the image, JSON. Not measured.
    pub metadata: Vec<u8>,
    /// What boots: the first program.
    pub boot_ramdisk: Vec<u8>,
    /// The application, unpacked over the former.
    pub application_ramdisks: Vec<Vec<u8>>,
    /// Memory that a runner may take for its default, bytes.
    pub default_memory: u64,
    /// Processors that a runner may take for its default.
    pub default_processors: u64,
}

impl Image {
    /// Measures the image as the security module does at boot.
    ///
    /// PCR0 is all of it; PCR1 kernel, command line and boot ramdisk; PCR2 the application. Metadata is
    /// in none.
    #[must_use]
    pub fn measure(&self) -> Measurements {
        let boot = [&self.kernel, &self.command_line, &self.boot_ramdisk];
        let application = || self.application_ramdisks.iter();
        Measurements::of_image(
            measure(boot.into_iter().chain(application())),
            measure(boot.into_iter()),
            measure(application()),
        )
    }

    /// Writes the image.
    ///
    /// # Errors
    ///
    /// [`EifError`] if it would have more sections or bytes than an image may have.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EifError> {
        let mut sections = vec![
            (KERNEL, &self.kernel),
            (COMMAND_LINE, &self.command_line),
            (METADATA, &self.metadata),
            (RAMDISK, &self.boot_ramdisk),
        ];
        sections.extend(self.application_ramdisks.iter().map(|it| (RAMDISK, it)));
        if sections.len() > PLACES || self.application_ramdisks.is_empty() {
            return Err(EifError::Sections);
        }
        let mut body = Vec::new();
        let mut places = [0u64; PLACES];
        let mut sizes = [0u64; PLACES];
        for ((kind, bytes), (place, size)) in
            sections.iter().zip(places.iter_mut().zip(sizes.iter_mut()))
        {
            *place = to_u64(HEADER + body.len())?;
            *size = to_u64(bytes.len())?;
            body.extend_from_slice(&kind.to_be_bytes());
            body.extend_from_slice(&0u16.to_be_bytes());
            body.extend_from_slice(&size.to_be_bytes());
            body.extend_from_slice(bytes);
        }
        let count = u16::try_from(sections.len()).map_err(|_| EifError::Sections)?;
        let mut out = Vec::with_capacity(HEADER + body.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&0u16.to_be_bytes());
        out.extend_from_slice(&self.default_memory.to_be_bytes());
        out.extend_from_slice(&self.default_processors.to_be_bytes());
        out.extend_from_slice(&0u16.to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
        for number in places.into_iter().chain(sizes) {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&0u32.to_be_bytes());
        let checksum = checksum(&out, &body);
        out.extend_from_slice(&checksum.to_be_bytes());
        out.append(&mut body);
        if out.len() > MAX_IMAGE {
            return Err(EifError::Malformed);
        }
        Ok(out)
    }

    /// Reads an unsigned image. What is read can be written again to the same bytes.
    ///
    /// # Errors
    ///
    /// [`EifError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EifError> {
        if bytes.len() > MAX_IMAGE {
            return Err(EifError::Malformed);
        }
        let mut header = Reader(bytes.get(..HEADER).ok_or(EifError::NotAnImage)?);
        if header.array()? != MAGIC || header.u16()? != VERSION || header.u16()? != 0 {
            return Err(EifError::NotAnImage);
        }
        let (default_memory, default_processors) = (header.u64()?, header.u64()?);
        let (reserved, count) = (header.u16()?, usize::from(header.u16()?));
        let mut table = [0u64; 2 * PLACES];
        for number in &mut table {
            *number = header.u64()?;
        }
        let (unused, written) = (header.u32()?, header.u32()?);
        let (before, body) = (
            bytes.get(..CHECKSUM_AT).ok_or(EifError::NotAnImage)?,
            bytes.get(HEADER..).ok_or(EifError::NotAnImage)?,
        );
        if checksum(before, body) != written {
            return Err(EifError::Checksum);
        }
        let (places, sizes) = table.split_at(PLACES);
        if reserved != 0 || unused != 0 || count > PLACES {
            return Err(EifError::Malformed);
        }
        let mut rest = Reader(body);
        let mut sections = Vec::new();
        for (place, size) in places.iter().zip(sizes).take(count) {
            let at = to_u64(bytes.len().saturating_sub(rest.0.len()))?;
            let (kind, flags, length) = (rest.u16()?, rest.u16()?, rest.u64()?);
            if *place != at || *size != length || flags != 0 {
                return Err(EifError::Malformed);
            }
            let length = usize::try_from(length).map_err(|_| EifError::Malformed)?;
            sections.push((kind, rest.take(length)?.to_vec()));
        }
        let mut unused = places.iter().skip(count).chain(sizes.iter().skip(count));
        if !rest.0.is_empty() || unused.any(|number| *number != 0) {
            return Err(EifError::Malformed);
        }
        let mut sections = sections.into_iter();
        let mut next = |wanted| match sections.next() {
            Some((kind, bytes)) if kind == wanted => Ok(bytes),
            _ => Err(EifError::Sections),
        };
        let image = Self {
            kernel: next(KERNEL)?,
            command_line: next(COMMAND_LINE)?,
            metadata: next(METADATA)?,
            boot_ramdisk: next(RAMDISK)?,
            application_ramdisks: vec![next(RAMDISK)?],
            default_memory,
            default_processors,
        };
        sections.try_fold(image, |mut image, (kind, bytes)| {
            if kind != RAMDISK {
                return Err(EifError::Sections);
            }
            image.application_ramdisks.push(bytes);
            Ok(image)
        })
    }
}

/// The boot measures contents as one stream, hashes it, and extends the hash into an empty register.
fn measure<'a>(contents: impl Iterator<Item = &'a Vec<u8>>) -> Pcr {
    let mut hash = Sha384::new();
    contents.for_each(|part| hash.update(part));
    extend([0; 48], &hash.finalize())
}

/// CRC-32 of the header up to the checksum and of everything behind it.
fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(body);
    crc.finalize()
}

fn to_u64(number: usize) -> Result<u64, EifError> {
    u64::try_from(number).map_err(|_| EifError::Malformed)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], EifError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(EifError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EifError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(EifError::Malformed)?;
        self.0 = rest;
        Ok(*array)
    }

    fn u16(&mut self) -> Result<u16, EifError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, EifError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, EifError> {
        self.array().map(u64::from_be_bytes)
    }
}
