//! Serial ports of USB devices, from what the Linux kernel says in `/sys/class/tty`: no libudev.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, fs};

/// Vendor and product id of a USB device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsbId {
    /// Vendor, as `lsusb` prints it first.
    pub vendor: u16,
    /// Product.
    pub product: u16,
}

impl fmt::Display for UsbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)
    }
}

impl FromStr for UsbId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(':').and_then(|(vendor, product)| {
            Some(Self {
                vendor: u16::from_str_radix(vendor, 16).ok()?,
                product: u16::from_str_radix(product, 16).ok()?,
            })
        });
        parsed.ok_or_else(|| format!("`{text}` is not VENDOR:PRODUCT in hexadecimal, such as 2e8a:000a"))
    }
}

/// A serial port of a USB device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsbPort {
    /// The port: `/dev/ttyACM0`.
    pub path: PathBuf,
    /// Whose it is.
    pub id: UsbId,
}

/// The serial ports of USB devices, by name. `class` is `/sys/class/tty`; what cannot be read is left out.
#[must_use]
pub fn usb_ports(class: &Path) -> Vec<UsbPort> {
    let mut ports: Vec<_> = fs::read_dir(class)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            // The link leads to the USB interface; ids are on the device above it.
            let device = fs::canonicalize(entry.path().join("device")).ok()?;
            let id = device.ancestors().find_map(id_of)?;
            Some(UsbPort { path: Path::new("/dev").join(entry.file_name()), id })
        })
        .collect();
    ports.sort_by(|a, b| a.path.cmp(&b.path));
    ports
}

fn id_of(folder: &Path) -> Option<UsbId> {
    let read = |name| u16::from_str_radix(fs::read_to_string(folder.join(name)).ok()?.trim(), 16).ok();
    Some(UsbId { vendor: read("idVendor")?, product: read("idProduct")? })
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn ports_are_found_by_the_ids_above_their_interface() {
        let root = tempfile::tempdir().unwrap();
        let class = root.path().join("class/tty");
        // As on a machine: an interface of a device behind a hub (which has ids as well), and a port that is not USB.
        let hub = root.path().join("devices/usb1/1-1");
        let device = hub.join("1-1.4");
        let platform = root.path().join("devices/platform/serial8250");
        for folder in
            [&class.join("ttyACM0"), &class.join("ttyS0"), &class.join("ptmx"), &platform, &device.join("1-1.4:1.0")]
        {
            fs::create_dir_all(folder).unwrap();
        }
        for (folder, vendor, product) in [(&hub, "05e3\n", "0610\n"), (&device, "2e8a\n", "000a\n")] {
            fs::write(folder.join("idVendor"), vendor).unwrap();
            fs::write(folder.join("idProduct"), product).unwrap();
        }
        symlink(device.join("1-1.4:1.0"), class.join("ttyACM0/device")).unwrap();
        symlink(&platform, class.join("ttyS0/device")).unwrap();
        let found = UsbPort { path: "/dev/ttyACM0".into(), id: "2e8a:000a".parse().unwrap() };
        assert_eq!(usb_ports(&class), [found]);
        assert_eq!(usb_ports(Path::new("/nowhere")), []);
    }

    #[test]
    fn ids_are_hexadecimal() {
        assert_eq!("1209:f00D".parse::<UsbId>().unwrap().to_string(), "1209:f00d");
        for wrong in ["", "1209", "1209:", "1209:0001:2", "12345:1", "0x12:1"] {
            let error = wrong.parse::<UsbId>().unwrap_err();
            assert_eq!(error, format!("`{wrong}` is not VENDOR:PRODUCT in hexadecimal, such as 2e8a:000a"));
        }
    }
}
