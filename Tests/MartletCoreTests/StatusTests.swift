import MartletCore
import Testing

struct StatusTests {
  @Test("control characters of what a caller has sent are shown, not passed on")
  func controlCharacters() {
    #expect(Status(.invalidArgument, "has text \"a\0b\"").message == "has text \"a\\u{0}b\"")
    #expect(Status(.invalidArgument, "one\r\n\u{7f}two").message == "one\\u{d}\\u{a}\\u{7f}two")
  }

  @Test("other characters stay", arguments: ["plain", "ünïcode — 5 µs", "🐦", "", "a\u{301}"])
  func others(_ text: String) {
    #expect(Status(.internalError, text).message.unicodeScalars.elementsEqual(text.unicodeScalars))
  }
}
