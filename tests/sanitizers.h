// PITH_SANITIZED: built with AddressSanitizer or ThreadSanitizer, which take time and memory of their own.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PITH_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PITH_SANITIZED
#endif
#endif
