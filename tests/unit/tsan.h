/* Whether this is built with ThreadSanitizer, which makes everything some ten times slower. */
#ifndef TESTS_TSAN_H
#define TESTS_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_TSAN 1
#endif
#endif
#ifndef TEST_TSAN
#define TEST_TSAN 0
#endif

#endif
