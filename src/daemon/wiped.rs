//! Buffers for messages that may hold secrets.

use std::io::{self, Write};
use std::ops::Deref;

use zeroize::Zeroizing;

/// Bytes that leave no copy behind: wherever they were is overwritten when they grow, are cut or are dropped.
#[derive(Debug, Default)]
pub(super) struct Wiped(Zeroizing<Vec<u8>>);

impl Wiped {
    /// Adds bytes at the end.
    pub(super) fn extend_from_slice(&mut self, bytes: &[u8]) {
        let len = self.0.len().saturating_add(bytes.len());
        if len > self.0.capacity() {
            // The vector itself would free the smaller memory as it is.
            let capacity = self.0.capacity().saturating_mul(2).max(len);
            let smaller = std::mem::replace(self, Self(Vec::with_capacity(capacity).into()));
            self.0.extend_from_slice(&smaller);
        }
        self.0.extend_from_slice(bytes);
    }

    /// Removes the first `len` bytes, or all, and returns them.
    pub(super) fn take(&mut self, len: usize) -> Self {
        let mut rest = Self::default();
        rest.extend_from_slice(self.get(len..).unwrap_or_default());
        let mut taken = std::mem::replace(self, rest);
        taken.0.truncate(len);
        taken
    }
}

impl Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Write for Wiped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_in_at_the_end_and_out_at_the_front() {
        let mut bytes = Wiped::default();
        for number in 0..200 {
            bytes.write_all(&[number; 3]).unwrap();
        }
        assert_eq!(bytes.len(), 600);
        assert_eq!(bytes.take(4)[..], [0, 0, 0, 1]);
        assert_eq!(bytes[..3], [1, 1, 2]);
        assert_eq!(bytes.take(1000).len(), 596);
        assert!(bytes.is_empty() && bytes.take(1).is_empty());
    }
}
