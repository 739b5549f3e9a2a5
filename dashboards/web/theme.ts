// Light, dark, or as the system says; the choice is kept in this browser.

const KEY = 'bailiwick.theme'
const THEMES = ['system', 'light', 'dark']

export function initTheme(button: HTMLButtonElement): void {
  let at = Math.max(0, THEMES.indexOf(localStorage.getItem(KEY) ?? 'system'))
  const apply = () => {
    const theme = THEMES[at] ?? 'system'
    document.documentElement.dataset.theme = theme
    button.replaceChildren(`Theme: ${theme}`)
  }
  button.addEventListener('click', () => {
    at = (at + 1) % THEMES.length
    localStorage.setItem(KEY, THEMES[at] ?? 'system')
    apply()
  })
  apply()
}
