//! Reading flatbuffers without trusting them: every offset is checked, nothing is allocated on a file's word.
//!
//! A table starts with the distance back to its vtable, which holds the sizes of vtable and table and then, for each
//! field, its place in the table or 0. Strings, vectors and tables are referred to by the distance forward to them.

/// A flatbuffer's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buffer<'a>(&'a [u8]);

/// A table in a buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    buffer: Buffer<'a>,
    at: usize,
}

/// The result of reading a buffer; an error says the fault.
pub(super) type Result<T> = std::result::Result<T, String>;

impl<'a> Buffer<'a> {
    /// The buffer, if it carries this identifier.
    pub(super) fn new(bytes: &'a [u8], identifier: &str) -> Result<Self> {
        match bytes.get(4..8) {
            Some(found) if found == identifier.as_bytes() => Ok(Self(bytes)),
            _ => Err(format!("it does not carry the identifier {identifier}")),
        }
    }

    /// The root table.
    pub(super) fn root(self) -> Result<Table<'a>> {
        self.table(0)
    }

    fn array<const N: usize>(self, at: usize) -> Result<[u8; N]> {
        let bytes = at.checked_add(N).and_then(|end| self.0.get(at..end)).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| format!("offset {at} points outside the file"))
    }

    fn u32(self, at: usize) -> Result<usize> {
        self.array(at).map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    /// The place that the offset at `at` points to.
    fn follow(self, at: usize) -> Result<usize> {
        Ok(at + self.u32(at)?)
    }

    fn table(self, at: usize) -> Result<Table<'a>> {
        Ok(Table { buffer: self, at: self.follow(at)? })
    }

    /// Start and length of the vector that the offset at `at` points to, all of it within the file.
    fn vector(self, at: usize, element_size: usize) -> Result<(usize, usize)> {
        let at = self.follow(at)?;
        let length = self.u32(at)?;
        let end = length.checked_mul(element_size).and_then(|size| size.checked_add(at + 4));
        match end {
            Some(end) if end <= self.0.len() => Ok((at + 4, length)),
            _ => Err(format!("a list of {length} elements at offset {at} is longer than the file")),
        }
    }
}

impl<'a> Table<'a> {
    /// Place of field number `index`; `None` when the table leaves it out.
    fn field(self, index: usize) -> Result<Option<usize>> {
        let back = i32::from_le_bytes(self.buffer.array(self.at)?);
        let vtable = i64::try_from(self.at).ok().map(|at| at - i64::from(back));
        let vtable = vtable.and_then(|at| usize::try_from(at).ok()).ok_or("a vtable outside the file")?;
        let entry = 4 + 2 * index;
        let size = usize::from(u16::from_le_bytes(self.buffer.array(vtable)?));
        if entry + 2 > size {
            return Ok(None);
        }
        let place = u16::from_le_bytes(self.buffer.array(vtable + entry)?);
        Ok((place != 0).then(|| self.at + usize::from(place)))
    }

    /// An integer; 0 when left out.
    pub(super) fn i32(self, index: usize) -> Result<i32> {
        self.field(index)?.map_or(Ok(0), |at| self.buffer.array(at).map(i32::from_le_bytes))
    }

    /// An integer; 0 when left out.
    pub(super) fn i64(self, index: usize) -> Result<i64> {
        self.field(index)?.map_or(Ok(0), |at| self.buffer.array(at).map(i64::from_le_bytes))
    }

    /// A float; 0 when left out.
    pub(super) fn f32(self, index: usize) -> Result<f32> {
        self.field(index)?.map_or(Ok(0.0), |at| self.buffer.array(at).map(f32::from_le_bytes))
    }

    /// A table.
    pub(super) fn table(self, index: usize) -> Result<Option<Table<'a>>> {
        self.field(index)?.map(|at| self.buffer.table(at)).transpose()
    }

    /// A list of tables; empty when left out.
    pub(super) fn tables(self, index: usize) -> Result<Vec<Table<'a>>> {
        let Some(at) = self.field(index)? else { return Ok(Vec::new()) };
        let (start, length) = self.buffer.vector(at, 4)?;
        (0..length).map(|element| self.buffer.table(start + 4 * element)).collect()
    }

    /// Bytes; empty when left out.
    pub(super) fn bytes(self, index: usize) -> Result<&'a [u8]> {
        let Some(at) = self.field(index)? else { return Ok(&[]) };
        let (start, length) = self.buffer.vector(at, 1)?;
        Ok(&self.buffer.0[start..start + length])
    }

    /// Text; empty when left out.
    pub(super) fn text(self, index: usize) -> Result<&'a str> {
        std::str::from_utf8(self.bytes(index)?).map_err(|_| "a name is not UTF-8".to_owned())
    }

    /// A list of integers; empty when left out.
    pub(super) fn i64s(self, index: usize) -> Result<Vec<i64>> {
        let Some(at) = self.field(index)? else { return Ok(Vec::new()) };
        let (start, length) = self.buffer.vector(at, 8)?;
        (0..length).map(|element| self.buffer.array(start + 8 * element).map(i64::from_le_bytes)).collect()
    }
}
