import type { ClassHooks, Registration, Site } from "./registry.ts";

interface Hook {
  kind: "enter" | "exit";
  methodName: string;
  /** Given by the build; null where only `metadata` says which class it is. */
  className: string | null;
  metadata: object | undefined;
}

type Decorator = (method: unknown, context: ClassMethodDecoratorContext) => void;

/**
 * The enter and exit hooks of an app's classes. A method decorator is not told its class, but all decorators of one class are handed
 * one `metadata` object, whose prototype is that of the base class: by it a hook is matched to the functions of its class.
 */
export class ClassHookList {
  readonly #hooks: Hook[] = [];
  readonly #methods: { registration: Registration; metadata: object | undefined }[] = [];

  decorator(kind: Hook["kind"], site: Site | null): Decorator {
    return (_method, context) => {
      const methodName = methodNameOf(context, `@app.${kind}()`);
      this.#hooks.push({ kind, methodName, className: site?.className ?? null, metadata: context.metadata });
    };
  }

  /** Tells the registration which method it stands on. */
  methodDecorator(registration: Registration): Decorator {
    return (_method, context) => {
      registration.methodName = methodNameOf(context, `@app.${registration.kind}()`);
      this.#methods.push({ registration, metadata: context.metadata });
    };
  }

  byClass(): Map<string, ClassHooks> {
    const byClass = new Map<string, ClassHooks>();
    for (const { registration, metadata } of this.#methods) {
      const name = registration.site?.className;
      if (name == null || byClass.has(name)) continue;
      const own = this.#hooks.filter((hook) => belongs(hook, name, metadata));
      const named = (kind: Hook["kind"]) => own.filter((hook) => hook.kind === kind).map((hook) => hook.methodName);
      byClass.set(name, { enter: [...new Set(named("enter"))], exit: [...new Set(named("exit"))] });
    }
    return byClass;
  }
}

function belongs(hook: Hook, className: string, metadata: object | undefined): boolean {
  if (hook.className === className) return true;
  if (hook.metadata === undefined || metadata === undefined) return false;
  return hook.metadata === metadata || Object.prototype.isPrototypeOf.call(hook.metadata, metadata);
}

function methodNameOf(context: ClassMethodDecoratorContext | undefined, decorator: string): string {
  if (context?.kind !== "method" || context.static || context.private || typeof context.name !== "string") {
    throw new TypeError(
      `${decorator} stands on a public instance method; it follows the standard, not experimentalDecorators`,
    );
  }
  return context.name;
}
