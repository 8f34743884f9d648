// Before anything is painted: the theme that the reader chose. Without a choice the style follows the system.
try {
  const chosen = localStorage.getItem('theme');
  if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that keeps nothing for pages shows the system's theme.
}
