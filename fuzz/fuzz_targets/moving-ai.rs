#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = trm_fuzz::find("moving-ai").expect("a target").run(data);
});
