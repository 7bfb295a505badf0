/** Wheel, drag, pinch and keys on the chart. */

export interface Wheelhouse {
  /** By `px` into the past. */
  pan(px: number): void;
  zoom(factor: number, fromRight: number): void;
  oldest(): void;
  newest(): void;
}

const KEY_PAN_PX = 24;
const KEY_ZOOM = 1.25;

/** `host` takes the keys, `surface` inside it the pointers. */
export function steer(host: HTMLElement, surface: HTMLElement, chart: Wheelhouse): void {
  const keys: Record<string, (fast: number) => void> = {
    ArrowLeft: (fast) => chart.pan(KEY_PAN_PX * fast),
    ArrowRight: (fast) => chart.pan(-KEY_PAN_PX * fast),
    '+': () => chart.zoom(KEY_ZOOM, 0),
    '=': () => chart.zoom(KEY_ZOOM, 0),
    '-': () => chart.zoom(1 / KEY_ZOOM, 0),
    Home: () => chart.oldest(),
    End: () => chart.newest(),
  };
  host.addEventListener('keydown', (event) => {
    const act = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    if (!act) return;
    act(event.shiftKey ? 10 : 1);
    event.preventDefault();
  });
  surface.addEventListener('wheel', (event) => turn(event, surface, chart), { passive: false });
  surface.addEventListener('dblclick', () => chart.newest());
  drag(surface, chart);
}

function turn(event: WheelEvent, surface: HTMLElement, chart: Wheelhouse): void {
  event.preventDefault();
  if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) chart.pan(-event.deltaX);
  else chart.zoom(Math.exp(-event.deltaY * 0.0015), fromRight(surface, event.clientX));
}

/** One pointer pans, two pinch. */
function drag(surface: HTMLElement, chart: Wheelhouse): void {
  const pointers = new Map<number, number>(); // id → x
  surface.addEventListener('pointerdown', (event) => {
    pointers.set(event.pointerId, event.clientX);
    surface.setPointerCapture(event.pointerId);
  });
  const release = (event: PointerEvent) => pointers.delete(event.pointerId);
  surface.addEventListener('pointerup', release);
  surface.addEventListener('pointercancel', release);
  surface.addEventListener('pointermove', (event) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    pointers.set(event.pointerId, event.clientX);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other === undefined) chart.pan(event.clientX - before);
    else pinch(before, event.clientX, other, surface, chart);
  });
}

function pinch(before: number, after: number, other: number, surface: HTMLElement, chart: Wheelhouse): void {
  const apart = Math.abs(before - other);
  if (apart > 10) chart.zoom(Math.abs(after - other) / apart, fromRight(surface, (after + other) / 2));
}

const fromRight = (surface: HTMLElement, x: number): number => surface.getBoundingClientRect().right - x;
