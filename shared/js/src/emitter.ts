// Listeners by the name of what happens. A listener that throws keeps nobody else from hearing it.

export class Emitter<Events extends object> {
  private readonly listeners = new Map<keyof Events, Set<(payload: never) => void>>();

  /** Calls `listener` whenever this happens; the function that is returned ends that. */
  on<Name extends keyof Events>(name: Name, listener: (payload: Events[Name]) => void): () => void {
    const all = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, all.add(listener as (payload: never) => void));
    return () => void all.delete(listener as (payload: never) => void);
  }

  protected emit<Name extends keyof Events>(name: Name, payload: Events[Name]): void {
    for (const listener of [...(this.listeners.get(name) ?? [])]) {
      try {
        listener(payload as never);
      } catch (error) {
        // The app's own fault: it is thrown where the app sees it, and not into the middle of our work.
        setTimeout(() => {
          throw error;
        });
      }
    }
  }
}
