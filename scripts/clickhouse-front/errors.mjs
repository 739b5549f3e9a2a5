// Errors as ClickHouse tells them over HTTP: a code, its word, a text, and the status that goes with the code.

export class FrontError extends Error {
  constructor(code, word, text) {
    super(`Code: ${code}. DB::Exception: ${text}. (${word})`)
    this.clickhouseCode = code
  }
}

const STATUS = new Map([
  [516, 403], // AUTHENTICATION_FAILED
  [192, 403], // UNKNOWN_USER
  [194, 401], // REQUIRED_PASSWORD
  [47, 404], // UNKNOWN_IDENTIFIER
  [46, 404], // UNKNOWN_FUNCTION
  [60, 404], // UNKNOWN_TABLE
  [81, 404], // UNKNOWN_DATABASE
  [115, 404], // UNKNOWN_SETTING
  [6, 400], // CANNOT_PARSE_TEXT
  [27, 400], // CANNOT_PARSE_INPUT_ASSERTION_FAILED
  [36, 400], // BAD_ARGUMENTS
  [53, 400], // TYPE_MISMATCH
  [62, 400], // SYNTAX_ERROR
  [117, 400], // INCORRECT_DATA
  [457, 400], // BAD_QUERY_PARAMETER
  [48, 501], // NOT_IMPLEMENTED
  [159, 408], // TIMEOUT_EXCEEDED
  [209, 503], // SOCKET_TIMEOUT
  [298, 413], // QUERY_IS_TOO_LARGE
])

/** What an error is to the client. One without a code is a fault of the front itself. */
export function answerOf(error, version) {
  // Of some of its errors the engine tells the code in the text alone, behind words of its own.
  const told = /Code: (\d+)\. [\s\S]*/.exec(error.message)
  const code = Number(error.clickhouseCode ?? told?.[1] ?? 1001)
  const text = told?.[0] ?? `Code: ${code}. DB::Exception: ${error.message}. (STD_EXCEPTION)`
  return { code, status: STATUS.get(code) ?? 500, text: `${text} (version ${version})\n` }
}
