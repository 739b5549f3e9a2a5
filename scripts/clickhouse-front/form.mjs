// A form as the body of a request (multipart/form-data): the statement, and parameters that are too long for a URL.

import { FrontError } from './errors.mjs'

/**
 * @param {string} contentType of the request
 * @returns {string | undefined} what stands between the parts; undefined if the body is no form
 */
export function boundaryOf(contentType) {
  return /^multipart\/form-data;.*\bboundary="?([^";]{1,70})"?/i.exec(contentType)?.[1]
}

/**
 * @param {Buffer} body
 * @param {string} boundary
 * @returns {Map<string, string>} the parts by their names
 * @throws FrontError
 */
export function readForm(body, boundary) {
  const parts = new Map()
  // One character for each byte: values are cut by bytes.
  const pieces = `\r\n${body.toString('latin1')}`.split(`\r\n--${boundary}`)
  if (pieces[0] !== '' || pieces.length < 2 || !pieces.at(-1).startsWith('--'))
    throw new FrontError(36, 'BAD_ARGUMENTS', 'The form in the body is torn')
  for (const piece of pieces.slice(1, -1)) {
    const end = piece.indexOf('\r\n\r\n')
    const name = /content-disposition: *form-data;.*\bname="([^"]*)"/i.exec(
      piece.slice(0, end),
    )?.[1]
    if (end < 0 || name === undefined)
      throw new FrontError(36, 'BAD_ARGUMENTS', 'A part of the form in the body has no name')
    parts.set(name, Buffer.from(piece.slice(end + 4), 'latin1').toString())
  }
  return parts
}
