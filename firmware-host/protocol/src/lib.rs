//! The wire between host and microcontroller: messages and frames.

#![no_std]
