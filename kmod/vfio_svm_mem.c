// SPDX-License-Identifier: GPL-2.0
/*
 * Zeroed pages that the kernel and userspace both look at. Each mapping holds the
 * pages it shows, so memory that is freed here lives on in whoever maps it still,
 * and shows nobody anything new.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "vfio_svm_core.h"

int vfio_svm_mem_alloc(struct vfio_svm_mem *mem, unsigned int nb_pages, int node)
{
	unsigned int i;

	mem->nb_pages = 0;
	mem->pages = kvcalloc(nb_pages, sizeof(*mem->pages), GFP_KERNEL_ACCOUNT);
	if (!mem->pages)
		return -ENOMEM;
	for (i = 0; i < nb_pages; i++) {
		mem->pages[i] = alloc_pages_node(node, GFP_KERNEL_ACCOUNT | __GFP_ZERO, 0);
		if (!mem->pages[i])
			goto free_pages;
		mem->nb_pages++;
	}
	mem->va = vmap(mem->pages, nb_pages, VM_MAP, PAGE_KERNEL);
	if (!mem->va)
		goto free_pages;
	return 0;

free_pages:
	while (mem->nb_pages)
		put_page(mem->pages[--mem->nb_pages]);
	kvfree(mem->pages);
	mem->pages = NULL;
	return -ENOMEM;
}
EXPORT_SYMBOL_GPL(vfio_svm_mem_alloc);

void vfio_svm_mem_free(struct vfio_svm_mem *mem)
{
	if (!mem->pages)
		return;
	vunmap(mem->va);
	while (mem->nb_pages)
		put_page(mem->pages[--mem->nb_pages]);
	kvfree(mem->pages);
	mem->pages = NULL;
	mem->va = NULL;
}
EXPORT_SYMBOL_GPL(vfio_svm_mem_free);

/**
 * vfio_svm_mem_map() - map from the first page on, shared only
 * @mem: the pages
 * @vma: where to
 * @pgoff: the page that userspace asked for; must be 0
 * @writable: false: read-only, and no mprotect changes that
 */
int vfio_svm_mem_map(const struct vfio_svm_mem *mem, struct vm_area_struct *vma, u64 pgoff,
		     bool writable)
{
	vm_flags_t clear = VM_MAYEXEC;

	if (!(vma->vm_flags & VM_SHARED) || pgoff || vma_pages(vma) > mem->nb_pages)
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EPERM;
	if (!writable) {
		if (vma->vm_flags & VM_WRITE)
			return -EPERM;
		clear |= VM_MAYWRITE;
	}
	vm_flags_mod(vma, VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY, clear);
	return vm_map_pages_zero(vma, mem->pages, mem->nb_pages);
}
EXPORT_SYMBOL_GPL(vfio_svm_mem_map);
