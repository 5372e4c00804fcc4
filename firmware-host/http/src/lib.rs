//! A small HTTP server with limits on connections, headers, bodies and time.
