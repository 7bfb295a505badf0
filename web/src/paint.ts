/** Painters run at most once per frame, and only when something asked for it. */

const painters: (() => void)[] = [];
let asked = false;

export function onPaint(painter: () => void): void {
  painters.push(painter);
  requestPaint();
}

export function requestPaint(): void {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    for (const painter of painters) painter();
  });
}
