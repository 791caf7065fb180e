// What the account may do, for what is offered at all: the server judges every request anew.
import { ROOT } from './document';
import { type User, useUser } from './queries';

export interface Rights {
  everything: boolean;
  mayRead: (privilege: string, path?: string) => boolean;
  mayWrite: (privilege: string, path?: string) => boolean;
}

/** Whether one of the objects of a line is the privilege, or a subtree that holds the path. */
function covers(objects: string[], privilege: string, path: string): boolean {
  return objects.some((one) => one === privilege || (one.startsWith(ROOT) && (path === one || path.startsWith(`${one}/`))));
}

export function rightsOf(acls: User['acls'], everything: boolean): Rights {
  const may = (permissions: string[], privilege: string, path: string) =>
    everything || !privilege || acls.some((line) => permissions.includes(line.permission) && covers(line.objects, privilege, path));
  return {
    everything,
    mayRead: (privilege, path = '') => may(['read', 'write'], privilege, path),
    mayWrite: (privilege, path = '') => may(['write'], privilege, path),
  };
}

export function useRights(): Rights {
  const user = useUser().data;
  return rightsOf(user?.body.acls ?? [], user?.meta.everything === true);
}
