#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = trm_fuzz::find("recording").expect("a target").run(data);
});
